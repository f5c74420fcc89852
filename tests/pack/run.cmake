# Packs the programs as for another machine, and runs them here under the emulator, because a GPU may be missing.
#
#   cmake -D PACK=gpu/pack -D WORK_DIR=… [-D WHY_NOT=reason] -P run.cmake
#
# WORK_DIR keeps the build, so a second run compiles only what changed.
if(WHY_NOT)
  message("skipped: ${WHY_NOT}")
  return()
endif()

set(packed ${WORK_DIR}/packed)
file(REMOVE_RECURSE ${packed})
file(MAKE_DIRECTORY ${WORK_DIR})
set(ENV{LASTROW_BUILD} ${WORK_DIR}/build)

# must(NAME [STATUS n] command…): runs the command; `said` is what it printed on both streams
function(must name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "STATUS" "")
  if(NOT DEFINED ARG_STATUS)
    set(ARG_STATUS 0)
  endif()
  execute_process(COMMAND ${ARG_UNPARSED_ARGUMENTS} WORKING_DIRECTORY ${WORK_DIR} RESULT_VARIABLE status
                  OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status EQUAL ARG_STATUS)
    message(FATAL_ERROR "${name} ended with ${status}, not ${ARG_STATUS}:\n${said}")
  endif()
  set(said "${said}" PARENT_SCOPE)
endfunction()

function(must_say name pattern)
  if(NOT said MATCHES "${pattern}")
    message(FATAL_ERROR "${name} did not say '${pattern}', but:\n${said}")
  endif()
endfunction()

# ---- wrong arguments
must("no folder" STATUS 2 ${PACK})
must_say("no folder" "^usage: gpu/pack DIR\n$")
file(WRITE ${WORK_DIR}/taken/letter.txt "not ours\n")
must("a folder of somebody's" STATUS 2 ${PACK} ${WORK_DIR}/taken)
must_say("a folder of somebody's" "^gpu/pack: '[^\n]*' holds other files \\(letter.txt\\): name an empty folder\n$")

# ---- what is in the folder
must("gpu/pack" ${PACK} ${packed})
message("${said}")
file(GLOB files RELATIVE ${packed} ${packed}/*)
set(programs lastrow-kernels test_backend test_cuda_device)
if(NOT "${files}" STREQUAL "BUILT_FOR.txt;${programs}")
  message(FATAL_ERROR "the folder holds ${files}")
endif()
set(bytes 0)
foreach(file ${files})
  file(SIZE ${packed}/${file} size)
  math(EXPR bytes "${bytes} + ${size}")
endforeach()
if(bytes GREATER 31457280)
  message(FATAL_ERROR "${bytes} bytes are more than 30 MiB")
endif()

# ---- the programs need only glibc, nothing that a machine may lack
foreach(program ${programs})
  must("ldd ${program}" ldd ${packed}/${program})
  string(REGEX MATCHALL "[^\n\t ]+\\.so[^\n\t ]*( =>)?[^\n]*" lines "${said}")
  if(NOT lines)
    message(FATAL_ERROR "ldd said of ${program}:\n${said}")
  endif()
  foreach(line ${lines})
    if(NOT line MATCHES "^(linux-vdso|libc|libm|libdl|librt|libpthread|[^ ]*/ld-linux-x86-64)\\.so\\.[0-9]+ ")
      message(FATAL_ERROR "${program} needs ${line}")
    endif()
  endforeach()
endforeach()

# ---- the programs run
must("the packed driver's list" ${packed}/lastrow-kernels --target emulated --list)
must_say("the list" "k01.*k12")
must("the packed driver's check" ${packed}/lastrow-kernels --target emulated --check --kernel k05 --every 40)
must_say("the check" "[1-9][0-9]* runs against naive-f64, 0 failed")
must("the packed operations" ${packed}/test_backend -tc=*by\ eye*)
must_say("the packed operations" "[1-9][0-9]* passed +\\| 0 failed")
must("the packed generations" ${packed}/test_cuda_device)
must_say("the packed generations" "skipped: no usable GPU|[1-9][0-9]* passed +\\| 0 failed")
