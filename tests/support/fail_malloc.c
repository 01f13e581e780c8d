/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To be preloaded into a daemon: lets a share of its allocations fail while a test wants it, and counts the
 * blocks that are allocated. Both go by way of a file that TARPIT_FAIL_MALLOC names: see fail_malloc.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct panel {
	/* Of 65536 allocations so many fail: of all others, and of those that libmilter makes. */
	_Atomic uint32_t share, share_of_libmilter;
	_Atomic uint32_t failed;
	_Atomic uint32_t program_only; /* no library's but libmilter's */
	_Atomic int64_t live; /* blocks */
};

/* What dlsym itself allocates is never freed. */
static char first[4096];
static size_t first_used;

static struct panel none;
static struct panel *_Atomic panel = &none;
static _Atomic uint32_t turn;
static _Thread_local int spared;

struct range {
	uintptr_t begin, end;
};

static struct range program, libmilter;

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);
static int (*next_pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* Libraries allocate before begin() is called, and dlsym may itself: false then. */
static int find_next(void)
{
	static int finding;

	if (next_free != NULL)
		return 1;
	if (finding)
		return 0;
	finding = 1;
	next_malloc = dlsym(RTLD_NEXT, "malloc");
	next_calloc = dlsym(RTLD_NEXT, "calloc");
	next_realloc = dlsym(RTLD_NEXT, "realloc");
	next_pthread_create = dlsym(RTLD_NEXT, "pthread_create");
	next_free = dlsym(RTLD_NEXT, "free");
	return 1;
}

static int find_range(struct dl_phdr_info *info, size_t size, void *arg)
{
	int is_first = program.end == 0;
	struct range *range = is_first ? &program : &libmilter;

	(void)size;
	(void)arg;
	if (!is_first && strstr(info->dlpi_name, "libmilter") == NULL)
		return 0;
	range->begin = info->dlpi_addr;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type == PT_LOAD && info->dlpi_addr + part->p_vaddr + part->p_memsz > range->end)
			range->end = info->dlpi_addr + part->p_vaddr + part->p_memsz;
	}
	return 0;
}

static int is_in(const struct range *range, const void *place)
{
	return (uintptr_t)place >= range->begin && (uintptr_t)place < range->end;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("TARPIT_FAIL_MALLOC");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *shared = MAP_FAILED;

	dl_iterate_phdr(find_range, NULL);
	if (fd >= 0) {
		shared = mmap(NULL, sizeof(struct panel), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (shared != MAP_FAILED)
		panel = shared;
}

static int fails(const void *caller)
{
	struct panel *p = panel;
	uint32_t share = is_in(&libmilter, caller) ? p->share_of_libmilter : p->share;

	if (share == 0 || spared > 0)
		return 0;
	if (p->program_only && !is_in(&libmilter, caller) && !is_in(&program, caller))
		return 0;
	/* Spread as evenly as at random, but the same each time. */
	if ((atomic_fetch_add(&turn, 1) * 2654435761U) >> 16 >= share)
		return 0;
	p->failed++;
	errno = ENOMEM;
	return 1;
}

static void *counted(void *block)
{
	if (block != NULL)
		panel->live++;
	return block;
}

static void *take_first(size_t size)
{
	void *block = first + first_used;

	first_used += (size + 15) / 16 * 16;
	if (first_used > sizeof(first))
		abort();
	return block;
}

void *malloc(size_t size)
{
	if (!find_next())
		return take_first(size);
	return fails(__builtin_return_address(0)) ? NULL : counted(next_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	if (!find_next())
		return take_first(count * size);
	return fails(__builtin_return_address(0)) ? NULL : counted(next_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
	void *grown;

	find_next();
	if (fails(__builtin_return_address(0)))
		return NULL;
	grown = next_realloc(block, size);
	if (block == NULL && grown != NULL)
		panel->live++;
	return grown;
}

void free(void *block)
{
	if (block == NULL || ((char *)block >= first && (char *)block < first + sizeof(first)))
		return;
	find_next();
	panel->live--;
	next_free(block);
}

/* A thread that can't be started is another test's: libmilter loses its session. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	int result;

	spared++;
	result = next_pthread_create(thread, attributes, run, arg);
	spared--;
	return result;
}
