/* SPDX-License-Identifier: MIT */
#include "harness/soft/eventfds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define IRQFD_FLAGS (KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE)
#define IOEVENTFD_FLAGS KVM_IOEVENTFD_VALID_FLAG_MASK
#define MAX_EVENTS 16

struct irqfd {
	struct irqfd *next;
	uint32_t gsi;
	unsigned long event_id;
	int event_fd, resample_fd;	/* ours; resample_fd -1: without */
};

struct ioeventfd {
	struct ioeventfd *next;
	uint64_t address, datamatch;
	uint32_t len;
	bool is_port, is_wildcard;
	unsigned long event_id;
	int event_fd;			/* ours */
};

/*
 * Which event descriptor of the system @fd is: descriptors of one are the same number. -EBADF, -EINVAL: another kind of
 * file.
 */
static int event_identify(int fd, unsigned long *ret_id)
{
	char path[40], line[128];
	int result = -EINVAL;
	FILE *info;

	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info)
		return -EINVAL;
	while (result && fgets(line, sizeof(line), info))
		if (sscanf(line, "eventfd-id: %lu", ret_id) == 1)
			result = 0;
	fclose(info);
	return result;
}

static int event_dup(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return own < 0 ? -errno : own;
}

int eventfd_take(int fd)
{
	unsigned long id;
	int result = event_identify(fd, &id);

	return result ? result : event_dup(fd);
}

static void event_signal(int fd)
{
	const uint64_t one = 1;
	ssize_t written = write(fd, &one, sizeof(one));

	(void)written;	/* a full counter stays full */
}

/* --- irqfds --- */

void irqfds_init(struct irqfds *irqfds)
{
	*irqfds = (struct irqfds){ .first = NULL, .epoll_fd = -1 };
}

static void irqfd_free(struct irqfd *irqfd)
{
	if (irqfd->event_fd >= 0)
		close(irqfd->event_fd);
	if (irqfd->resample_fd >= 0)
		close(irqfd->resample_fd);
	free(irqfd);
}

void irqfds_clear(struct irqfds *irqfds)
{
	struct irqfd *irqfd, *next;

	for (irqfd = irqfds->first; irqfd; irqfd = next) {
		next = irqfd->next;
		irqfd_free(irqfd);
	}
	if (irqfds->epoll_fd >= 0)
		close(irqfds->epoll_fd);
	irqfds_init(irqfds);
}

static bool has_resampler(const struct irqfds *irqfds, uint32_t gsi)
{
	const struct irqfd *irqfd;

	for (irqfd = irqfds->first; irqfd; irqfd = irqfd->next)
		if (irqfd->gsi == gsi && irqfd->resample_fd >= 0)
			return true;
	return false;
}

/* None with this GSI is fine. */
static int irqfds_remove(struct irqfds *irqfds, struct irqchip *chip, const struct kvm_irqfd *args)
{
	struct irqfd **place = &irqfds->first, *irqfd;
	unsigned long id;
	int result = event_identify(args->fd, &id);

	if (result)
		return result;
	while ((irqfd = *place)) {
		bool had_resampler = irqfd->resample_fd >= 0;

		if (irqfd->event_id != id || irqfd->gsi != args->gsi) {
			place = &irqfd->next;
			continue;
		}
		*place = irqfd->next;
		epoll_ctl(irqfds->epoll_fd, EPOLL_CTL_DEL, irqfd->event_fd, NULL);
		irqfd_free(irqfd);
		if (had_resampler && !has_resampler(irqfds, args->gsi))
			irqchip_gsi_set(chip, IRQ_SOURCE_RESAMPLE, args->gsi, false, false);
	}
	return 0;
}

static int irqfd_open(struct irqfd *irqfd, const struct kvm_irqfd *args)
{
	unsigned long resample_id;
	int result = event_identify(args->fd, &irqfd->event_id);

	if (!result && args->flags & KVM_IRQFD_FLAG_RESAMPLE)
		result = event_identify(args->resamplefd, &resample_id);
	if (result)
		return result;
	irqfd->event_fd = event_dup(args->fd);
	if (irqfd->event_fd < 0)
		return irqfd->event_fd;
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		irqfd->resample_fd = event_dup(args->resamplefd);
		if (irqfd->resample_fd < 0)
			return irqfd->resample_fd;
	}
	return 0;
}

static int irqfd_watch(struct irqfds *irqfds, struct irqfd *irqfd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = irqfd };

	if (irqfds->epoll_fd < 0)
		irqfds->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (irqfds->epoll_fd < 0 || epoll_ctl(irqfds->epoll_fd, EPOLL_CTL_ADD, irqfd->event_fd, &event))
		return -errno;
	return 0;
}

static bool is_event_used(const struct irqfds *irqfds, unsigned long id)
{
	const struct irqfd *irqfd;

	for (irqfd = irqfds->first; irqfd; irqfd = irqfd->next)
		if (irqfd->event_id == id)
			return true;
	return false;
}

static int irqfds_add(struct irqfds *irqfds, const struct kvm_irqfd *args)
{
	struct irqfd *irqfd = calloc(1, sizeof(*irqfd));
	int result;

	if (!irqfd)
		return -ENOMEM;
	irqfd->gsi = args->gsi;
	irqfd->event_fd = irqfd->resample_fd = -1;
	result = irqfd_open(irqfd, args);
	if (!result && is_event_used(irqfds, irqfd->event_id))
		result = -EBUSY;
	if (!result)
		result = irqfd_watch(irqfds, irqfd);
	if (result) {
		irqfd_free(irqfd);
		return result;
	}
	irqfd->next = irqfds->first;
	irqfds->first = irqfd;
	return 0;
}

int irqfds_set(struct irqfds *irqfds, struct irqchip *chip, const struct kvm_irqfd *args)
{
	int result;

	if (args->flags & ~IRQFD_FLAGS)
		return -EINVAL;
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return irqfds_remove(irqfds, chip, args);
	if (chip->kind == IRQCHIP_NONE || (args->flags & KVM_IRQFD_FLAG_RESAMPLE && chip->kind != IRQCHIP_KERNEL))
		return -EINVAL;
	result = irqfds_add(irqfds, args);
	if (!result)
		irqfds_poll(irqfds, chip);	/* what was signalled before counts */
	return result;
}

static void irqfd_raise(struct irqfd *irqfd, struct irqchip *chip)
{
	uint64_t count;

	if (read(irqfd->event_fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (irqfd->resample_fd >= 0) {
		irqchip_gsi_set(chip, IRQ_SOURCE_RESAMPLE, irqfd->gsi, true, false);
		return;
	}
	irqchip_gsi_set(chip, IRQ_SOURCE_USER, irqfd->gsi, true, false);
	irqchip_gsi_set(chip, IRQ_SOURCE_USER, irqfd->gsi, false, false);
}

void irqfds_poll(struct irqfds *irqfds, struct irqchip *chip)
{
	struct epoll_event events[MAX_EVENTS];
	int i, nr;

	if (!irqfds->first)
		return;
	nr = epoll_wait(irqfds->epoll_fd, events, MAX_EVENTS, 0);
	for (i = 0; i < nr; i++)
		irqfd_raise(events[i].data.ptr, chip);
}

int irqfds_wait_fd(const struct irqfds *irqfds)
{
	return irqfds->first ? irqfds->epoll_fd : -1;
}

void irqfds_acked(struct irqfds *irqfds, struct irqchip *chip, uint32_t gsi)
{
	const struct irqfd *irqfd;

	if (!has_resampler(irqfds, gsi))
		return;
	irqchip_gsi_set(chip, IRQ_SOURCE_RESAMPLE, gsi, false, false);
	for (irqfd = irqfds->first; irqfd; irqfd = irqfd->next)
		if (irqfd->gsi == gsi && irqfd->resample_fd >= 0)
			event_signal(irqfd->resample_fd);
}

/* --- ioeventfds --- */

static int ioeventfd_write(void *opaque, uint64_t address, unsigned int len, const void *data)
{
	const struct ioeventfd *io = opaque;
	uint64_t value = 0;

	if (address != io->address || (io->len && io->len != len))
		return -EOPNOTSUPP;
	memcpy(&value, data, len < sizeof(value) ? len : sizeof(value));
	if (!io->is_wildcard && value != io->datamatch)
		return -EOPNOTSUPP;
	event_signal(io->event_fd);
	return 0;
}

static void ioeventfd_free(struct ioeventfd *io)
{
	if (io->event_fd >= 0)
		close(io->event_fd);
	free(io);
}

/* A write would be one for both. */
static bool is_collision(const struct ioeventfd *one, const struct ioeventfd *other)
{
	if (one->is_port != other->is_port || one->address != other->address)
		return false;
	if (!one->len || !other->len)
		return true;
	return one->len == other->len &&
		(one->is_wildcard || other->is_wildcard || one->datamatch == other->datamatch);
}

static bool has_collision(const struct ioeventfds *ioeventfds, const struct ioeventfd *io)
{
	const struct ioeventfd *other;

	for (other = ioeventfds->first; other; other = other->next)
		if (is_collision(io, other))
			return true;
	return false;
}

static bool is_len_valid(uint32_t len)
{
	return len == 0 || len == 1 || len == 2 || len == 4 || len == 8;
}

/* What @args says, without its descriptor. */
static struct ioeventfd ioeventfd_of(const struct kvm_ioeventfd *args, unsigned long event_id)
{
	return (struct ioeventfd){
		.address = args->addr,
		.datamatch = args->datamatch,
		.len = args->len,
		.is_port = !!(args->flags & KVM_IOEVENTFD_FLAG_PIO),
		.is_wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH),
		.event_id = event_id,
		.event_fd = -1,
	};
}

static int ioeventfd_connect(struct ioeventfd *io, struct io_bus *bus, const struct kvm_ioeventfd *args)
{
	const struct io_device device = { .opaque = io, .write = ioeventfd_write };

	io->event_fd = event_dup(args->fd);
	if (io->event_fd < 0)
		return io->event_fd;
	return io_bus_add(bus, io->address, io->len, &device);
}

static int ioeventfds_add(struct ioeventfds *ioeventfds, struct io_bus *bus, const struct kvm_ioeventfd *args,
			  unsigned long event_id)
{
	struct ioeventfd *io = malloc(sizeof(*io));
	int result;

	if (!io)
		return -ENOMEM;
	*io = ioeventfd_of(args, event_id);
	result = has_collision(ioeventfds, io) ? -EEXIST : ioeventfd_connect(io, bus, args);
	if (result) {
		ioeventfd_free(io);
		return result;
	}
	io->next = ioeventfds->first;
	ioeventfds->first = io;
	return 0;
}

static bool is_same(const struct ioeventfd *io, const struct ioeventfd *wanted)
{
	return io->is_port == wanted->is_port && io->event_id == wanted->event_id && io->address == wanted->address &&
		io->len == wanted->len && io->is_wildcard == wanted->is_wildcard &&
		(io->is_wildcard || io->datamatch == wanted->datamatch);
}

static int ioeventfds_remove(struct ioeventfds *ioeventfds, struct io_bus *bus, const struct ioeventfd *wanted)
{
	struct ioeventfd **place, *io;

	for (place = &ioeventfds->first; (io = *place); place = &io->next) {
		if (!is_same(io, wanted))
			continue;
		*place = io->next;
		io_bus_remove(bus, io);
		ioeventfd_free(io);
		return 0;
	}
	return -ENOENT;
}

int ioeventfds_set(struct ioeventfds *ioeventfds, struct io_bus *ports, struct io_bus *memory,
		   const struct kvm_ioeventfd *args)
{
	struct io_bus *bus = args->flags & KVM_IOEVENTFD_FLAG_PIO ? ports : memory;
	bool is_removal = args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	struct ioeventfd wanted;
	unsigned long id = 0;
	int result;

	if (!is_removal && (!is_len_valid(args->len) || args->addr + args->len < args->addr ||
			    args->flags & ~IOEVENTFD_FLAGS ||
			    (!args->len && args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)))
		return -EINVAL;
	result = event_identify(args->fd, &id);
	if (result)
		return result;
	if (!is_removal)
		return ioeventfds_add(ioeventfds, bus, args, id);
	wanted = ioeventfd_of(args, id);
	return ioeventfds_remove(ioeventfds, bus, &wanted);
}

void ioeventfds_clear(struct ioeventfds *ioeventfds, struct io_bus *ports, struct io_bus *memory)
{
	struct ioeventfd *io;

	while ((io = ioeventfds->first)) {
		ioeventfds->first = io->next;
		io_bus_remove(io->is_port ? ports : memory, io);
		ioeventfd_free(io);
	}
}
