/* SPDX-License-Identifier: MIT */
/* I/O ports, and who may use them (APM vol. 2, 12.2.4 and vol. 1, 3.8). */
#ifndef VMASSAY_MACHINE_IO_H
#define VMASSAY_MACHINE_IO_H

#include <stdint.h>

#include "machine/cpu.h"
#include "machine/op.h"

/* #GP(0) unless CPL is within IOPL or the TSS's bitmap allows all the ports. */
void io_check(struct cpu *cpu, uint16_t port, unsigned int size);
/* The port of IN and OUT: an immediate byte or DX. */
uint16_t io_port(const struct cpu *cpu, const struct op *op, unsigned int operand);
uint64_t io_read(struct cpu *cpu, uint16_t port, unsigned int size);
void io_write(struct cpu *cpu, uint16_t port, unsigned int size, uint64_t value);

#endif
