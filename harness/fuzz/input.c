/* SPDX-License-Identifier: MIT */
#include "fuzz/input.h"

#include <string.h>

#include "fuzz/ioctl_ops.h"
#include "fuzz/vmcb_ops.h"

const struct input_domain *input_domain_find(const char *name)
{
	static const struct input_domain *const domains[] = { &vmcb_domain, &ioctl_domain };
	size_t i;

	for (i = 0; i < sizeof(domains) / sizeof(domains[0]); i++)
		if (!strcmp(domains[i]->name, name))
			return domains[i];
	return NULL;
}

void input_init(struct input *input, const struct input_domain *domain)
{
	input->domain = domain;
	input->nr_ops = 0;
	input->expect[0] = input->known[0] = 0;
}

bool input_append(struct input *input, const struct input_op *op)
{
	if (input->nr_ops == INPUT_MAX_OPS)
		return false;
	input->ops[input->nr_ops++] = *op;
	return true;
}

static bool is_op_equal(const struct input_op *one, const struct input_op *other)
{
	return one->kind == other->kind && one->nr_bytes == other->nr_bytes &&
	       !memcmp(one->bytes, other->bytes, one->nr_bytes) && !memcmp(one->args, other->args, sizeof(one->args));
}

bool input_is_equal(const struct input *one, const struct input *other)
{
	unsigned int i;

	if (one->domain != other->domain || one->nr_ops != other->nr_ops)
		return false;
	for (i = 0; i < one->nr_ops; i++)
		if (!is_op_equal(&one->ops[i], &other->ops[i]))
			return false;
	return true;
}

static uint64_t last_of_bits(unsigned int bits)
{
	return bits < 64 ? (1ull << bits) - 1 : ~0ull;
}

uint64_t input_operand_last(const struct input_op_desc *desc, const struct input_op *op, unsigned int n)
{
	const struct input_operand *operand = &desc->operands[n];
	const struct input_names *names;

	switch (operand->type) {
	case OPERAND_NAME:
		return operand->names->nr - 1;
	case OPERAND_NEW:
	case OPERAND_LINK:
		return INPUT_MAX_LINKS - 1;
	case OPERAND_BYTES:
		return 0;
	default:
		break;
	}
	if (operand->last)
		return operand->last;
	names = n ? desc->operands[n - 1].names : NULL;
	return names && names->bits ? last_of_bits(names->bits((unsigned int)op->args[n - 1])) : ~0ull;
}
