// SPDX-License-Identifier: Apache-2.0
// The only macros of the library: what the compiler and the target offer.                (layer 0: base)
#pragma once

/// 1 where a failed `require` throws `graft::failure`, 0 where it calls the program's own `graft::fail`.
#ifndef GRAFT_EXCEPTIONS
#    ifdef __cpp_exceptions
#        define GRAFT_EXCEPTIONS 1
#    else
#        define GRAFT_EXCEPTIONS 0
#    endif
#endif

/// 1 where `graft::pack` is built on xsimd, 0 where it is its scalar twin (firmware, unknown architectures).
#ifndef GRAFT_SIMD
#    if (defined(__SSE2__) || defined(__ARM_NEON)) && !defined(GRAFT_FIRMWARE)
#        define GRAFT_SIMD 1
#    else
#        define GRAFT_SIMD 0
#    endif
#endif

/// 1 where an assignment whose destination overlaps its operands may take memory from the heap for a moment; 0 where
/// it is a caller's mistake (firmware).
#ifndef GRAFT_HEAP
#    ifdef GRAFT_FIRMWARE
#        define GRAFT_HEAP 0
#    else
#        define GRAFT_HEAP 1
#    endif
#endif

/// 1 where trainers offer what few runs on a device ask for; 0 where it is left out of the program (firmware): step
/// profiles, dropout, starts of adapters but `kaiming`, attention's weights kept as published methods do. Settings that
/// ask for what was left out are refused.
#ifndef GRAFT_EXTRAS
#    ifdef GRAFT_FIRMWARE
#        define GRAFT_EXTRAS 0
#    else
#        define GRAFT_EXTRAS 1
#    endif
#endif

/// Kernels whose registers must not be spilled by a call.
#ifndef GRAFT_INLINE
#    define GRAFT_INLINE [[gnu::always_inline]] inline
#endif
