# Installs the build into an empty folder, builds the consumer with that package, and runs it.
#
#   cmake -D BUILD_DIR=… -D SOURCE_DIR=… -D WORK_DIR=… -D COMPILER=… -D GENERATOR=… [-D LINK_FLAGS=…] -P run.cmake
set(prefix ${WORK_DIR}/prefix)
file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})

function(must name)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${name} ended with ${status}:\n${said}")
  endif()
  set(said "${said}" PARENT_SCOPE)
endfunction()

must("install" ${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${prefix})
must("installed program" ${prefix}/bin/lastrow --version)
must("configure" ${CMAKE_COMMAND} -S ${SOURCE_DIR} -B ${WORK_DIR}/build -G ${GENERATOR}
     -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_EXE_LINKER_FLAGS=${LINK_FLAGS})
must("build" ${CMAKE_COMMAND} --build ${WORK_DIR}/build)
must("run" ${WORK_DIR}/build/consumer)
message("${said}")
must("run the README's program" ${WORK_DIR}/build/readme/build/mine)
message("${said}")
if(NOT said MATCHES "^[a-z]+ [a-z]+ [^\n]*\n$")
  message(FATAL_ERROR "the README's program wrote no text")
endif()
