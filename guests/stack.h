/* SPDX-License-Identifier: MIT */
/* Constants that the entries (assembly) and the runtime (C) share. */
#ifndef VMASSAY_STACK_H
#define VMASSAY_STACK_H

#ifdef VMASSAY_REAL16
#define STACK_BYTES 0x800
#else
#define STACK_BYTES 0x2000
#endif

/* CPL 3 code comes back to the runtime by this software interrupt. */
#define USER_RETURN_VECTOR 0x80

#ifdef __ASSEMBLER__
/* Of abi.h, which an assembler cannot read; the runtime asserts that they agree. */
#define SEL_USER_CODE32 0x33
#define SEL_USER_DATA 0x3b
#define SEL_USER_CODE64 0x43
#endif
#define ABI_VCPU_OFFSET 12

#endif
