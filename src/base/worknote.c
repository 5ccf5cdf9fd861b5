#include "base/worknote.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

/* Set once, before other threads start. */
static struct worknotes *page;
static struct sigaction previous[ARRAY_LEN(crash_signals)];

_Thread_local struct worknote *worknote_mine;
static _Thread_local struct worknote private_note;

struct worknote *worknote_claim(void)
{
    worknote_mine = &private_note;
    if (page) {
        uint32_t n = atomic_fetch_add(&page->threads, 1);
        if (n < WORKNOTE_THREADS)
            worknote_mine = &page->thread[n];
    }
    return worknote_mine;
}

/* A fault comes again as soon as this returns, and finds the former action; a signal that was sent
 * is sent on. Nothing here allocates or locks. */
static void on_crash(int signum, siginfo_t *info, void *context)
{
    (void)context;
    bool sent =
        info->si_code <= 0 && signum != SIGABRT; /* by another process: any thread gets it */
    struct worknote *mine = worknote_mine;
    if (!sent && mine >= page->thread && mine < page->thread + WORKNOTE_THREADS)
        atomic_store(&page->crashed, (uint32_t)(mine - page->thread) + 1);
    for (size_t i = 0; i < ARRAY_LEN(crash_signals); i++)
        if (crash_signals[i] == signum)
            sigaction(signum, &previous[i], NULL);
    if (info->si_code <= 0)
        raise(signum);
}

int worknote_attach(int fd, struct err *err)
{
    autoclose int owned = fd;
    struct stat st;
    if (page)
        return 0;
    if (fstat(owned, &st) < 0 || (uint64_t)st.st_size < sizeof(*page))
        return err_set(err, ERR_INVALID, "the page for work notes is too small");
    void *p = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, owned, 0);
    if (p == MAP_FAILED)
        return err_set_errno(err, "mmap");
    page = p;
    worknote_mine = NULL; /* the next use takes a note in the page */
    worknote_claim();
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(crash_signals); i++)
        sigaction(crash_signals[i], &action, &previous[i]);
    return 0;
}

int worknote_create(struct worknotes **ret, int *ret_fd, struct err *err)
{
    autoclose int fd = memfd_create("martlet-worknotes", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(struct worknotes)) < 0)
        return err_set_errno(err, "memfd_create");
    void *p = mmap(NULL, sizeof(struct worknotes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_set_errno(err, "mmap");
    *ret = p;
    *ret_fd = take_fd(&fd);
    return 0;
}

static bool is_set(const uint8_t *account)
{
    static const uint8_t nobody[WORKNOTE_ID];
    return memcmp(account, nobody, WORKNOTE_ID) != 0;
}

void worknote_suspects(struct worknotes *w, void (*each)(void *arg, const uint8_t *account),
                       void *arg)
{
    /* The page was another process's: its numbers are checked, its bytes are copied. */
    uint32_t n = MIN(atomic_load(&w->threads), (uint32_t)WORKNOTE_THREADS);
    uint32_t crashed = atomic_load(&w->crashed);
    uint8_t(*seen)[WORKNOTE_ID] = xcalloc(n ? n : 1, WORKNOTE_ID);
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id[2] = {atomic_load(&w->thread[i].id[0]), atomic_load(&w->thread[i].id[1])};
        bool known = false;
        memcpy(seen[count], id, WORKNOTE_ID);
        for (uint32_t k = 0; k < count; k++)
            known |= memcmp(seen[k], id, WORKNOTE_ID) == 0;
        if (known || !is_set(seen[count]) || (crashed && crashed != i + 1))
            continue;
        each(arg, seen[count++]);
    }
    free(seen);
}

void worknote_clear(struct worknotes *w)
{
    memset((void *)w, 0, sizeof(*w));
}

void worknote_destroy(struct worknotes *w)
{
    if (w)
        munmap((void *)w, sizeof(*w));
}
