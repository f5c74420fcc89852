# Embeds the trained models: generates one C++ file that places each model in read-only data.
set(LASTROW_BUILTIN_ASM "")
set(LASTROW_BUILTIN_TABLE "")
set(builtin_files "")
foreach(name fable-mha fable-gqa fable-mqa)
  set(file ${CMAKE_CURRENT_SOURCE_DIR}/model/builtin/${name}.safetensors)
  string(MAKE_C_IDENTIFIER "lastrow_builtin_${name}" symbol)
  list(APPEND builtin_files ${file})
  string(APPEND LASTROW_BUILTIN_ASM
         "asm(R\"(.section .rodata\n.balign 64\n${symbol}:\n.incbin \"${file}\"\n${symbol}_end:\n.byte 0\n"
         ".text\n)\");\nextern \"C\" const std::byte ${symbol}[] asm(\"${symbol}\"), ${symbol}_end[] asm(\"${symbol}_end\");\n")
  string(APPEND LASTROW_BUILTIN_TABLE "      {\"${name}\", {${symbol}, ${symbol}_end}},\n")
endforeach()
list(LENGTH builtin_files LASTROW_BUILTIN_COUNT)
configure_file(model/builtin_files.cpp.in ${CMAKE_CURRENT_BINARY_DIR}/builtin_files.cpp @ONLY)
target_sources(lastrow_model PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/builtin_files.cpp)
set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/builtin_files.cpp PROPERTIES OBJECT_DEPENDS "${builtin_files}")
