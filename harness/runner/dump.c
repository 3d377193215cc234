/* SPDX-License-Identifier: MIT */
/*
 * The machine state at a failure: exit, registers, pending events, source line, the code at RIP disassembled. Made once
 * for a test, at its first failure after a run.
 */
#include <Zydis/Zydis.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "elf/guest_elf.h"
#include "runner/hw_exits.h"
#include "runner/test.h"

#define DUMP_BYTES 16384
#define CODE_BYTES 32
#define NR_INSTRUCTIONS 5

struct text {
	char buf[DUMP_BYTES];
	size_t used;
};

static void __attribute__((format(printf, 2, 3))) text_add(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->buf + text->used, DUMP_BYTES - text->used, format, args);
	va_end(args);
	if (n > 0)
		text->used = text->used + n < DUMP_BYTES ? text->used + n : DUMP_BYTES - 1;
}

/* Reads guest memory at a linear address, page by page as the vCPU translates it; returns how many bytes it got. */
static size_t code_read(struct vcpu *vcpu, uint64_t linear, uint8_t *code, size_t len)
{
	size_t n;

	for (n = 0; n < len; n++) {
		struct kvm_translation translation = { .linear_address = linear + n };
		const uint8_t *at;

		if (vcpu_ioctl_try(vcpu, KVM_TRANSLATE, &translation) || !translation.valid)
			break;
		at = vm_hva_try(vcpu->vm, translation.physical_address, 1);
		if (!at)
			break;
		code[n] = *at;
	}
	return n;
}

static void decoder_init(ZydisDecoder *decoder, const struct kvm_sregs *sregs)
{
	if (sregs->cs.l && (sregs->efer & EFER_LMA))
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	else if (sregs->cs.db)
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	else
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
}

static void add_code(struct text *text, struct vcpu *vcpu, const struct kvm_sregs *sregs, uint64_t rip)
{
	ZydisDecoder decoder;
	ZydisFormatter formatter;
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	uint8_t code[CODE_BYTES];
	size_t len = code_read(vcpu, sregs->cs.base + rip, code, sizeof(code)), at = 0;
	unsigned int i, b;
	char line[128];

	decoder_init(&decoder, sregs);
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
	if (!len)
		text_add(text, "code: not readable\n");
	for (i = 0; i < NR_INSTRUCTIONS && at < len; i++) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code + at, len - at, &instruction, operands))) {
			text_add(text, "%s %llx: %02x (no instruction)\n", i ? "      " : "code: ",
				 (unsigned long long)(rip + at), code[at]);
			break;
		}
		ZydisFormatterFormatInstruction(&formatter, &instruction, operands,
						instruction.operand_count_visible, line, sizeof(line), rip + at,
						ZYAN_NULL);
		text_add(text, "%s %llx: ", i ? "      " : "code: ", (unsigned long long)(rip + at));
		for (b = 0; b < 10 && b < instruction.length; b++)
			text_add(text, "%02x ", code[at + b]);
		text_add(text, "%*s", 3 * (10 - (int)b), "");
		text_add(text, " %s\n", line);
		at += instruction.length;
	}
}

void test_dump(struct test *t, struct vcpu *vcpu)
{
	struct text text = { .used = 0 };
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	char buf[2048], hw[8192];

	if (t->has_dump)
		return;
	t->has_dump = true;
	exit_decode(&t->exit, vcpu->run);
	/* A KVM_RUN that failed leaves UNKNOWN, unless it names an exit too: KVM_EXIT_MEMORY_FAULT with EFAULT. */
	if (t->exit.reason == KVM_EXIT_UNKNOWN && !t->exit.unknown.hardware_exit_reason)
		snprintf(buf, sizeof(buf), "none");
	else
		exit_format(buf, sizeof(buf), &t->exit);
	text_add(&text, "vCPU %u, mode %s, last exit: %s\n", vcpu->id, mode_name(t->mode), buf);
	if (!vcpu_ioctl_try(vcpu, KVM_GET_REGS, &regs) && !vcpu_ioctl_try(vcpu, KVM_GET_SREGS, &sregs)) {
		if (t->elf && !guest_elf_line(t->elf, sregs.cs.base + regs.rip, buf, sizeof(buf)))
			text_add(&text, "at    %s\n", buf);
		add_code(&text, vcpu, &sregs, regs.rip);
		regs_format(buf, sizeof(buf), &regs);
		text_add(&text, "%s", buf);
		sregs_format(buf, sizeof(buf), &sregs);
		text_add(&text, "%s", buf);
	}
	if (!vcpu_ioctl_try(vcpu, KVM_GET_VCPU_EVENTS, &events)) {
		events_format(buf, sizeof(buf), &events);
		text_add(&text, "%s", buf);
	}
	hw_log_format(t, hw, sizeof(hw));
	text_add(&text, "%s", hw);
	result_add_note(t->result, &(struct note){ .kind = NOTE_DUMP, .text = text.buf });
	t->publish(t);
}

void test_dump_hw_exits(struct test *t)
{
	char hw[8192];

	if (t->has_dump || !hw_log_format(t, hw, sizeof(hw)))
		return;
	t->has_dump = true;
	result_add_note(t->result, &(struct note){ .kind = NOTE_DUMP, .text = hw });
}
