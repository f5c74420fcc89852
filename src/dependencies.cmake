# The libraries that lastrow uses. A library of the system comes first. If it is missing, FetchContent
# downloads a pinned version. CMake prints where each one came from. The viewer finds its own libraries
# (viewer/CMakeLists.txt); without them it is built without its window.
#
#   -DCMAKE_DISABLE_FIND_PACKAGE_fmt=ON       fetches fmt even if the system has it
#   -DFETCHCONTENT_SOURCE_DIR_FMT=DIR         uses the sources of fmt in DIR
include(FetchContent)
find_package(Threads REQUIRED)

# These settings replace the defaults of a fetched library: no tests, no examples. fmt and nlohmann_json are
# installed together with lastrow, because its headers need them.
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
set(BUILD_TESTING OFF)
set(FMT_INSTALL ON)
set(JSON_Install ON)
set(CLI11_BUILD_TESTS OFF)
set(CLI11_BUILD_EXAMPLES OFF)
set(DOCTEST_WITH_TESTS OFF)

# lastrow_dependency(NAME TARGET [VERSION minimum] GIT repository TAG pinned [HEADERS])
# HEADERS: only the folder of a fetched library is used, and its own CMake files are not read.
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
  set(shallow GIT_SHALLOW ON)
  if(ARG_TAG MATCHES "^[0-9a-f]+$")  # a shallow clone can fetch a branch or a tag, but not a commit by its hash
    set(shallow "")
  endif()
  FetchContent_Declare(${name} GIT_REPOSITORY ${ARG_GIT} GIT_TAG ${ARG_TAG} GIT_SUBMODULES "" ${shallow}
                       GIT_PROGRESS OFF SYSTEM ${subdirectory})
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
  # RapidCheck has no releases. This is the commit that Debian 12 packages.
  lastrow_dependency(rapidcheck rapidcheck GIT https://github.com/emil-e/rapidcheck.git
                     TAG 08b505857e32d52a20b2240b5125d937d67a6d86)
endif()

# Highway is optional: its headers make attention on the CPU fast (src/backend/vector_rows.h). Only its headers
# are used, so no program needs its shared library.
find_package(hwy QUIET)
if(TARGET hwy::hwy)
  message(STATUS "lastrow: Highway ${hwy_VERSION} from the system (headers only)")
else()
  message(STATUS "lastrow: Highway is not installed (libhwy-dev); vector sums of attention on the CPU are left out, which makes it slower")
endif()

# With LASTROW_PORTABLE, a program contains the libraries that another machine may lack. Of the libraries
# above, only fmt has compiled code; src/CMakeLists.txt compiles it into the program.
set(LASTROW_CUDART CUDA::cudart)
if(LASTROW_PORTABLE)
  set(LASTROW_CUDART CUDA::cudart_static)
  set(Boost_USE_STATIC_LIBS ON)  # if there is no static Boost, the emulator works without Boost
endif()
