# SPDX-License-Identifier: Apache-2.0
# Builds and runs the consumer in a folder of its own; any failure ends the script with an error.
set(here "${CMAKE_CURRENT_LIST_DIR}")
set(work "${BUILD}/consumer/${WAY}")
file(REMOVE_RECURSE "${work}")

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE ended OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(NOT ended EQUAL 0)
        list(JOIN ARGN " " command)
        message(FATAL_ERROR "${command}\nended with ${ended}:\n${said}")
    endif()
endfunction()

set(options -D WAY=${WAY} -D "CMAKE_CXX_COMPILER=${COMPILER}" -D "CMAKE_CXX_FLAGS=${FLAGS}" -D GRAFT_SIMD=${SIMD}
            -D "GRAFT_XSIMD_INCLUDE=${XSIMD}" -D CMAKE_BUILD_TYPE=)
if(WAY STREQUAL "subdirectory")
    list(APPEND options -D "GRAFT=${GRAFT}")
else()
    run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${work}/installed")
    list(APPEND options -D "CMAKE_PREFIX_PATH=${work}/installed")
endif()
run(${CMAKE_COMMAND} -S "${here}" -B "${work}/build" ${options})
run(${CMAKE_COMMAND} --build "${work}/build")
run("${work}/build/consumer")
message("[consumer.${WAY}] test cases: 1 | 1 passed | 0 failed | 0 skipped")
