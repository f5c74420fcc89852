# `cmake --install build --prefix DIR` makes a package. Another project uses it like this:
#
#   find_package(lastrow REQUIRED)                          # with DIR in CMAKE_PREFIX_PATH
#   target_link_libraries(mine PRIVATE lastrow::lastrow)    # all of it, or one part: lastrow::core … lastrow::session
#   #include <lastrow/core/tensor.h>
#
# It has two components: `development` (headers, static libraries, package files) and `programs`.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(floors DIRECTORY ${PROJECT_SOURCE_DIR}/src PROPERTY BUILDSYSTEM_TARGETS)
list(FILTER floors INCLUDE REGEX "^lastrow_")
foreach(floor ${floors})
  get_target_property(type ${floor} TYPE)
  if(NOT type MATCHES "STATIC_LIBRARY|INTERFACE_LIBRARY")
    list(REMOVE_ITEM floors ${floor})
  endif()
endforeach()

list(APPEND floors lastrow_simt lastrow_emulated)
if(TARGET lastrow_cuda)
  list(APPEND floors lastrow_cuda)
endif()

add_library(lastrow_all INTERFACE)
add_library(lastrow::lastrow ALIAS lastrow_all)
target_link_libraries(lastrow_all INTERFACE ${floors})
set_target_properties(lastrow_all PROPERTIES EXPORT_NAME lastrow)

foreach(floor ${floors})
  # A user's <lastrow/core/tensor.h> is found in include/, and our own "core/tensor.h" in include/lastrow.
  target_include_directories(${floor} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  string(REGEX REPLACE "^lastrow_" "" folder ${floor})
  if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/src/${folder})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/${folder}
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lastrow
            COMPONENT development
            FILES_MATCHING PATTERN "*.h")
  endif()
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/gpu
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lastrow
        COMPONENT development
        FILES_MATCHING PATTERN "*.h")

install(TARGETS ${floors} lastrow_all EXPORT lastrowTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lastrow)
install(EXPORT lastrowTargets NAMESPACE lastrow:: DESTINATION ${package_dir} COMPONENT development)
configure_package_config_file(${PROJECT_SOURCE_DIR}/src/lastrowConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/lastrowConfig.cmake INSTALL_DESTINATION ${package_dir})
# While the version is 0.x, a new minor version may be incompatible.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lastrowConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lastrowConfig.cmake ${PROJECT_BINARY_DIR}/lastrowConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT development)

if(TARGET lastrow_cli)
  install(TARGETS lastrow_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
endif()
