#include "support/cmocka.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/worknote.h"

static const uint8_t ann[WORKNOTE_ID] = "ann's account", bob[WORKNOTE_ID] = "bob's account";

struct found {
    unsigned count, ann, bob;
};

static void on_suspect(void *arg, const uint8_t *account)
{
    struct found *f = arg;
    f->count++;
    f->ann += memcmp(account, ann, WORKNOTE_ID) == 0;
    f->bob += memcmp(account, bob, WORKNOTE_ID) == 0;
}

static void test_nesting(void **state)
{
    (void)state;
    struct worknote_id none = worknote_current();
    struct worknote_id outer = worknote_enter(ann);
    struct worknote_id inner = worknote_enter(bob);
    assert_memory_equal(&none, &outer, sizeof(none));
    assert_memory_equal(&inner, ann, WORKNOTE_ID);
    worknote_leave(inner);
    inner = worknote_current();
    assert_memory_equal(&inner, ann, WORKNOTE_ID);
    worknote_leave(outer);
    outer = worknote_current();
    assert_memory_equal(&none, &outer, sizeof(none));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

enum how { FAULT, ABORT, SENT, KILLED };

static volatile int *volatile where; /* nowhere */
static pthread_barrier_t barrier;
static enum how how;

static void *work_for_bob(void *arg)
{
    (void)arg;
    worknote_enter(bob);
    pthread_barrier_wait(&barrier);
    if (how == FAULT)
        *where = 1;
    if (how == ABORT)
        abort();
    pause();
    return NULL;
}

/* One thread works for Ann, the other one for Bob, and there it happens. */
static _Noreturn void child(int fd)
{
    pthread_t thread;
    struct err err;
    signal(SIGSEGV, SIG_DFL); /* not cmocka's */
    signal(SIGABRT, SIG_DFL);
    if (worknote_attach(fd, &err) < 0)
        _exit(1);
    worknote_enter(ann);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, work_for_bob, NULL);
    pthread_barrier_wait(&barrier);
    if (how == SENT || how == KILLED)
        kill(getpid(), how == SENT ? SIGSEGV : SIGKILL);
    sleep(10);
    _exit(2);
}

static struct found crash(enum how h, int want_signal)
{
    struct worknotes *page;
    struct found found = {0};
    struct err err;
    int fd, status;
    how = h;
    assert_int_equal(worknote_create(&page, &fd, &err), 0);
    pid_t pid = fork();
    if (pid == 0)
        child(fd);
    close(fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* the handler hides nothing */
    assert_int_equal(WTERMSIG(status), want_signal);
    worknote_suspects(page, on_suspect, &found);
    worknote_clear(page);
    struct found after = {0};
    worknote_suspects(page, on_suspect, &after);
    assert_int_equal(after.count, 0);
    worknote_destroy(page);
    return found;
}

static void test_the_thread_that_crashed(void **state)
{
    (void)state;
    struct found f = crash(FAULT, SIGSEGV);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.bob, 1);
    f = crash(ABORT, SIGABRT);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.bob, 1);
}

static void test_nobody_knows_which(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct found f = i ? crash(SENT, SIGSEGV) : crash(KILLED, SIGKILL);
        assert_int_equal(f.count, 2);
        assert_int_equal(f.ann, 1);
        assert_int_equal(f.bob, 1);
    }
}

#endif

/* What the process left there may be anything. */
static void test_garbage(void **state)
{
    (void)state;
    struct worknotes *page;
    struct found f = {0};
    struct err err;
    int fd;
    assert_int_equal(worknote_create(&page, &fd, &err), 0);
    close(fd);
    memset((void *)page, 0xff, sizeof(*page));
    worknote_suspects(page, on_suspect, &f);
    assert_int_equal(f.count, 0); /* the thread that it names does not exist */
    page->crashed = 0;
    worknote_suspects(page, on_suspect, &f);
    assert_int_equal(f.count, 1);
    worknote_destroy(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_garbage),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(test_the_thread_that_crashed),
        cmocka_unit_test(test_nobody_knows_which),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
