/* tests/unit/store/fixture.h: a store with one account in a temporary directory, and requests as
 * function calls. Every helper runs the host until nothing waits, unless it says otherwise. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "manual_host.h"
#include "store/account.h"
#include "support/cmocka.h"

struct fixture {
    char dir[64];
    struct manual_host host;
    struct log_fs *fs; /* NULL: the real file system */
    uint64_t segment_size;
    struct store *store;
    struct account_id id;
    struct account *account;
};

int fixture_setup(void **state); /* cmocka */
int fixture_teardown(void **state);

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f); /* in an orderly way */
void fixture_reopen(struct fixture *f);
/* Close without a word to anybody, as kill -9 does; the index must not be trusted afterwards if the
 * machine is said to have lost power. */
void fixture_remove(struct fixture *f);

/* A request on the heap that remembers that it was answered. */
struct asked {
    struct request r;
    bool answered;
    struct append_message messages[8];
    char name[MAILBOX_NAME_MAX + 16], new_name[MAILBOX_NAME_MAX + 16];
    struct span keywords[300];
    struct metadata_change entries[2];
    unsigned char id[16];
};

/* Prepared, not submitted; freed by asked_free. */
struct asked *ask(enum request_kind kind);
struct asked *ask_name(enum request_kind kind, const char *name, const char *new_name);
struct asked *ask_append(struct fixture *f, const char *mailbox, const char *text, uint16_t flags,
                         const char *keywords);
struct asked *ask_store(uint32_t mailbox, const char *uids, enum store_mode mode, uint16_t flags,
                        const char *keywords);
struct asked *ask_uids(enum request_kind kind, uint32_t mailbox, const char *uids,
                       const char *target);
void asked_free(struct asked *a);
void submit(struct fixture *f, struct asked *a);
/* Submit, run, check that it was answered; the result is the caller's to free. */
struct asked *run(struct fixture *f, struct asked *a);
/* The same, checks the error, and frees. */
void expect(struct fixture *f, struct asked *a, int error);

uint32_t mailbox_id(struct fixture *f, const char *name); /* 0: none */
/* The state of the account in words: "INBOX:1(SD$x)2() Sent: ..."; to compare. */
void describe(struct fixture *f, struct buf *to);
void expect_ranges(const struct ranges *r, const char *text);
void parse_ranges(struct ranges *r, const char *text);

#endif
