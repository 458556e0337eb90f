# SPDX-License-Identifier: Apache-2.0
# Builds the consumer in a folder of its own and runs its programs; any failure ends the script with an error.
# WAY is one of CMakeLists.txt's here, or `lto`: a subdirectory, linked so that a definition that differs between two
# files is an error. GRAFT is the project, BUILD its build, NAME the test; FLAGS are the build's, of which others get
# what names the target machine.
set(here "${CMAKE_CURRENT_LIST_DIR}")
set(work "${BUILD}/consumer/${NAME}")
file(REMOVE_RECURSE "${work}")
string(REGEX MATCHALL "-m[a-z][^ ]*" machine "${FLAGS}")

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE ended OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(NOT ended EQUAL 0)
        list(JOIN ARGN " " command)
        message(FATAL_ERROR "${command}\nended with ${ended}:\n${said}")
    endif()
endfunction()

set(options)
set(kind Release)
if(WAY STREQUAL "lto")  # not optimised: what is inlined away is not compared
    set(WAY subdirectory)
    set(kind Debug)
    list(APPEND machine -flto -Werror=odr -Werror=lto-type-mismatch)
endif()
if(WAY STREQUAL "subdirectory" OR WAY STREQUAL "fetchcontent")
    list(APPEND options -D "GRAFT=${GRAFT}")
elseif(WAY STREQUAL "single")
    # In step with the headers: written anew, and what the compiler makes of both is the same, with xsimd and without.
    set(single "${work}/single/graft.hpp")
    set(amalgamate "${PYTHON}" "${GRAFT}/tests/amalgamate.py")
    run(${amalgamate} "${single}")
    if(SIMD)
        run(${amalgamate} --check "${single}" "${COMPILER}" -std=c++20 ${machine} "-I${XSIMD}")
    endif()
    run(${amalgamate} --check "${single}" "${COMPILER}" -std=c++20 ${machine} -DGRAFT_SIMD=0)
    list(APPEND options -D "SINGLE=${work}/single")
else()
    run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${work}/installed")
    list(APPEND options -D "CMAKE_PREFIX_PATH=${work}/installed")
endif()

list(JOIN machine " " machine)
run(${CMAKE_COMMAND} -S "${here}" -B "${work}/build" -D WAY=${WAY} ${options} -D CMAKE_BUILD_TYPE=${kind}
    -D "CMAKE_CXX_COMPILER=${COMPILER}" -D "CMAKE_CXX_FLAGS=${machine}" -D GRAFT_SIMD=${SIMD}
    -D "GRAFT_XSIMD_INCLUDE=${XSIMD}")
run(${CMAKE_COMMAND} --build "${work}/build")
run(${CMAKE_CTEST_COMMAND} --test-dir "${work}/build" --no-tests=error --output-on-failure)
message("[${NAME}] test cases: 1 | 1 passed | 0 failed | 0 skipped")
