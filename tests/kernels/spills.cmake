# Fails if k05 … k12 spill registers, by the output of ptxas when they were compiled, or if there is no such output.
#
#   cmake -D LOGS=folder/of/k05_vector_loads.cu.txt… -P spills.cmake
#
# In k07 and later rungs a template argument Li256E is the width for head_dim above 128, which may spill. k05 and k06
# must not spill at any head_dim: their Li0E stands for every head_dim except 64 and 128. Li128ELi1E of k12 is head_dim
# 128 with q and p rounded; it may spill 256 bytes, and its header says why.
if(NOT LOGS)
  message("skipped: no CUDA toolkit was found, so nothing was compiled for a GPU")
  return()
endif()

set(n_functions 0)
set(complaints "")
file(GLOB logs ${LOGS}/k05*.txt ${LOGS}/k06*.txt ${LOGS}/k07*.txt ${LOGS}/k08*.txt ${LOGS}/k09*.txt ${LOGS}/k10*.txt ${LOGS}/k11*.txt
          ${LOGS}/k12*.txt)
foreach(log ${logs})
  file(STRINGS ${log} lines REGEX "Compiling entry function|bytes spill stores")
  set(function "")
  foreach(line ${lines})
    if(line MATCHES "Compiling entry function '([^']*)' for '([^']*)'")
      set(function "${CMAKE_MATCH_1} for ${CMAKE_MATCH_2}")
    elseif(line MATCHES "([0-9]+) bytes spill stores")
      set(bytes ${CMAKE_MATCH_1})
      if(function MATCHES "Li256E")
        continue()
      endif()
      math(EXPR n_functions "${n_functions} + 1")
      set(allowed 0)
      if(function MATCHES "k12_tensor_prefill.*Li128ELi1E")
        set(allowed 256)
      endif()
      if(bytes GREATER allowed)
        string(APPEND complaints "\n  ${function}: ${bytes} bytes")
      endif()
    endif()
  endforeach()
endforeach()
list(LENGTH logs n_logs)
if(n_logs LESS 8)
  message(FATAL_ERROR "${LOGS} holds the output for ${n_logs} kernel files, but k05 … k12 are 8: build lastrow_cuda again")
endif()
if(n_functions EQUAL 0)
  message(FATAL_ERROR "${LOGS} has no line of ptxas about a kernel: has its wording changed?")
endif()
if(complaints)
  message(FATAL_ERROR "registers are spilled:${complaints}")
endif()
message("${n_functions} compiled kernels in ${n_logs} files spill no registers, or no more than they may")
