# Refuses compilers that cannot build this correctly, and sets the flags every target shares.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR
    "nines needs clang 19 or newer, not ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}.\n"
    "Why: g++ 12 destroys coroutine arguments once too often (a double free at run time), and older clang "
    "lacks C++23's std::expected with this standard library.\n"
    "What to do: `./dev install` (Debian package clang-19), then delete the build folder and use a preset, "
    "for instance `cmake --preset release`.")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

option(NINES_SANITIZE "address and undefined-behaviour sanitizers, and the programs in fuzz/" OFF)

# -fno-pch-timestamp: lets ccache share what a precompiled header took part in.
add_compile_options(
  $<$<COMPILE_LANGUAGE:CXX>:-Wall> $<$<COMPILE_LANGUAGE:CXX>:-Wextra> $<$<COMPILE_LANGUAGE:CXX>:-Wconversion>
  $<$<COMPILE_LANGUAGE:CXX>:-Wshadow> $<$<COMPILE_LANGUAGE:CXX>:-Werror> $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-designated-field-initializers>
  $<$<COMPILE_LANGUAGE:CXX>:-fcolor-diagnostics>
  "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
if(NINES_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # What libFuzzer watches. In the tests, too, so that nothing is compiled a third time for the fuzzers.
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=address,undefined)
endif()

find_program(NINES_LLD NAMES ld.lld-19 ld.lld)
if(NINES_LLD)
  add_link_options(-fuse-ld=${NINES_LLD})
endif()

find_program(NINES_CCACHE ccache)
if(NINES_CCACHE)
  set(NINES_CCACHE_ENV ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${NINES_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${NINES_CCACHE_ENV})
  set(CMAKE_C_COMPILER_LAUNCHER ${NINES_CCACHE_ENV})
endif()
