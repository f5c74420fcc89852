# The libraries we stand on. The system's are used first; where one is missing, FetchContent brings a pinned
# version of the same library. Each is named at configure time, with where it came from. The viewer looks for
# its own (viewer/CMakeLists.txt): without them its window is left out.
#
# -DCMAKE_DISABLE_FIND_PACKAGE_fmt=ON fetches fmt though the system has it;
# -DFETCHCONTENT_SOURCE_DIR_FMT=DIR takes sources already unpacked in DIR.
include(FetchContent)
find_package(Threads REQUIRED)

# A fetched library takes what we set here instead of its own defaults: no tests, no examples. fmt and
# nlohmann_json are installed beside lastrow, whose headers need them.
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
set(BUILD_TESTING OFF)
set(FMT_INSTALL ON)
set(JSON_Install ON)
set(CLI11_BUILD_TESTS OFF)
set(CLI11_BUILD_EXAMPLES OFF)
set(DOCTEST_WITH_TESTS OFF)

# lastrow_dependency(NAME TARGET [VERSION least] GIT repository TAG pinned [HEADERS])
# HEADERS: of a fetched library nothing but its folder is used; its own CMake files are not read.
function(lastrow_dependency name target)
  cmake_parse_arguments(ARG "HEADERS" "GIT;TAG;VERSION" "" ${ARGN})
  find_package(${name} ${ARG_VERSION} QUIET)
  if(TARGET ${target})
    message(STATUS "lastrow: ${name} ${${name}_VERSION} from the system")
    return()
  endif()
  message(STATUS "lastrow: ${name} is not installed; fetching ${ARG_TAG} from ${ARG_GIT}")
  set(subdirectory "")
  if(ARG_HEADERS)
    set(subdirectory SOURCE_SUBDIR no-cmake-files-wanted)
  endif()
  FetchContent_Declare(${name} GIT_REPOSITORY ${ARG_GIT} GIT_TAG ${ARG_TAG} GIT_SHALLOW ON SYSTEM ${subdirectory})
  FetchContent_MakeAvailable(${name})
  if(ARG_HEADERS)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    string(TOLOWER ${name} folder)
    target_include_directories(${target} INTERFACE ${${folder}_SOURCE_DIR})
  endif()
endfunction()

lastrow_dependency(Eigen3 Eigen3::Eigen VERSION 3.4 GIT https://gitlab.com/libeigen/eigen.git TAG 3.4.0 HEADERS)
lastrow_dependency(fmt fmt::fmt VERSION 9 GIT https://github.com/fmtlib/fmt.git TAG 9.1.0)
lastrow_dependency(nlohmann_json nlohmann_json::nlohmann_json VERSION 3.11
                   GIT https://github.com/nlohmann/json.git TAG v3.11.2)
lastrow_dependency(CLI11 CLI11::CLI11 VERSION 2.1 GIT https://github.com/CLIUtils/CLI11.git TAG v2.1.2)
if(LASTROW_TESTS)
  lastrow_dependency(doctest doctest::doctest GIT https://github.com/doctest/doctest.git TAG v2.4.9)
endif()

# A program built with LASTROW_PORTABLE brings along what the other machine may lack. Of the libraries above
# only fmt has code of its own: src/CMakeLists.txt compiles it in.
set(LASTROW_CUDART CUDA::cudart)
if(LASTROW_PORTABLE)
  set(LASTROW_CUDART CUDA::cudart_static)
  set(Boost_USE_STATIC_LIBS ON)  # where it is not installed so, the emulator does without Boost
endif()
