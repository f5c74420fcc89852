# What viewer/run compiles: the viewer and what it stands on. No lesson, no trainer, no test; and no kernel with nvcc
# where there is no driver to run it (viewer/CMakeLists.txt decides that, and says so in NVCC).
#   cmake -D NINJA=… -D SOURCE_DIR=… -D BUILD_DIR=… -D NVCC=ON|OFF -P viewer_build.cmake
if(NOT NINJA MATCHES "ninja")
  message("skipped: not built with Ninja, which is what lists the commands of one program")
  return()
endif()
execute_process(COMMAND ${NINJA} -C ${BUILD_DIR} -t commands lastrow-viewer OUTPUT_VARIABLE commands
                RESULT_VARIABLE status ERROR_VARIABLE errors)
if(NOT status EQUAL 0 OR NOT commands MATCHES "viewer/main\\.cpp")
  message(FATAL_ERROR "${NINJA} does not say how lastrow-viewer is built: ${errors}")
endif()

string(REPLACE " -c ${SOURCE_DIR}/" " -c :" commands "${commands}")
set(unwanted ":(lessons|tests|src/cli|src/judge|gpu/driver)/[^ \n]*\\.cpp")
if(NOT NVCC)
  string(APPEND unwanted "|:gpu/[^ \n]*\\.cu|[^ ]*/cuda_[a-z]+\\.cpp\\.o")
endif()
string(REGEX MATCHALL "${unwanted}" found "${commands}")
list(REMOVE_DUPLICATES found)
list(LENGTH found n_found)
if(n_found GREATER 0)
  list(JOIN found "\n  " found)
  message(FATAL_ERROR "lastrow-viewer would wait for ${n_found} files that it does not need:\n  ${found}")
endif()
string(REGEX MATCHALL " -c [^ \n]+" compiled "${commands}")
list(LENGTH compiled n_compiled)
message("lastrow-viewer is compiled from ${n_compiled} files")
