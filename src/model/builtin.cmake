# Embeds the trained models and the held-out texts: generates one C++ file that places each file in read-only data.
set(LASTROW_BUILTIN_ASM "")
set(LASTROW_BUILTIN_TABLE "")
set(LASTROW_BUILTIN_COUNT 0)
set(builtin_files "")
foreach(name fable-mha.safetensors fable-gqa.safetensors fable-mqa.safetensors held-out.txt)
  set(file ${CMAKE_CURRENT_SOURCE_DIR}/model/builtin/${name})
  get_filename_component(stem ${name} NAME_WLE)
  string(MAKE_C_IDENTIFIER "lastrow_builtin_${stem}" symbol)
  list(APPEND builtin_files ${file})
  string(APPEND LASTROW_BUILTIN_ASM
         "asm(R\"(.section .rodata\n.balign 64\n${symbol}:\n.incbin \"${file}\"\n${symbol}_end:\n.byte 0\n"
         ".text\n)\");\nextern \"C\" const std::byte ${symbol}[] asm(\"${symbol}\"), ${symbol}_end[] asm(\"${symbol}_end\");\n")
  if(name MATCHES "\\.safetensors$")
    math(EXPR LASTROW_BUILTIN_COUNT "${LASTROW_BUILTIN_COUNT} + 1")
    string(APPEND LASTROW_BUILTIN_TABLE "      {\"${stem}\", {${symbol}, ${symbol}_end}},\n")
  endif()
endforeach()
configure_file(model/builtin_files.cpp.in ${CMAKE_CURRENT_BINARY_DIR}/builtin_files.cpp @ONLY)
target_sources(lastrow_model PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/builtin_files.cpp)
set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/builtin_files.cpp PROPERTIES
                            OBJECT_DEPENDS "${builtin_files}" SKIP_UNITY_BUILD_INCLUSION ON)
