/* imapload: the load client of script/bench.
 *
 * Speaks just enough IMAP to send prepared commands as fast as a server takes them and to check
 * every answer: each tagged response must be OK; untagged responses, numbers and literal bytes are
 * counted, so that a wrong answer fails the benchmark. imapload_conn.c: one connection and its
 * parser; imapload_batch.c: prepared commands and the clients that send them, several at once;
 * imapload.c: the commands read from standard input. */
#ifndef IMAPLOAD_H
#define IMAPLOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the responses to one batch added up to. */
struct tally {
    uint64_t bytes;    /* from the server, before TLS */
    uint64_t untagged; /* responses that begin with "*" */
    uint64_t fetch;    /* "* n FETCH" */
    uint64_t keyword;  /* of those, how many hold the expected word outside literals */
    uint64_t expunge;  /* "* n EXPUNGE" */
    uint64_t status;   /* "* STATUS" */
    uint64_t numbers;  /* in SEARCH, SORT and THREAD responses */
    uint64_t digest;   /* FNV-1a over those responses: equal answers, equal digests */
    uint64_t literals;
    uint64_t literal_bytes;
    uint32_t crc; /* over literal bytes, when asked for */
};

enum response {
    RESPONSE_MORE, /* nothing complete: read on */
    RESPONSE_UNTAGGED,
    RESPONSE_CONTINUE,
    RESPONSE_TAGGED, /* conn->done_tag, conn->done_ok */
    RESPONSE_ERROR,  /* conn->error */
};

/* One connection. Used by one thread at a time. */
struct conn {
    int fd; /* -1: closed */
    SSL *ssl;
    char *data; /* received and not yet parsed: [start, end) */
    size_t start, end, capacity;
    size_t scanned; /* no line end in [start, scanned) */
    /* the response being read */
    bool inside, is_fetch, has_keyword;
    uint64_t literal_left;
    /* the tagged response just read */
    uint64_t done_tag;
    bool done_ok;
    char text[2048]; /* the newest STATUS response, or the last untagged line that was no FETCH */
    struct tally tally;
    uint64_t next_tag;
    const char *keyword; /* borrowed; NULL: not counted */
    bool want_crc;
    char error[320];
};

void conn_init(struct conn *conn);

/* Connects to 127.0.0.1:port (TLS when ctx is set) and reads the greeting. 0, or -1 with
 * conn->error. */
int conn_open(struct conn *conn, uint16_t port, SSL_CTX *ctx);

/* Closes the socket without a word and frees the buffer. */
void conn_close(struct conn *conn);

/* Gives the receive buffer back when nothing is in it. */
void conn_trim(struct conn *conn);

/* Blocking: all of it, or -1. */
int conn_send(struct conn *conn, const char *data, size_t length);

/* What the socket takes now; 0 when it takes nothing; -1. */
long conn_send_some(struct conn *conn, const char *data, size_t length);

/* Reads once into the buffer: bytes read, 0 when there is nothing (non-blocking only), -1 on error
 * or end. */
long conn_receive(struct conn *conn);

/* Takes one complete response out of the buffer. */
enum response conn_next(struct conn *conn);

/* Blocking: reads until a response of this kind (tagged ones must be OK). 0 or -1. */
int conn_wait(struct conn *conn, enum response kind);

/* Blocking: one command, "T<n> TEXT\r\n", and its tagged OK. 0 or -1. */
int conn_command(struct conn *conn, const char *text);

int conn_set_blocking(struct conn *conn, bool blocking);

int conn_fail(struct conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prepared commands: the clock runs only while they are sent and answered. */
struct batch {
    char *data;
    size_t length, capacity;
    size_t *ends; /* ends[i]: where command i ends in data */
    uint64_t count, ends_capacity;
    uint64_t first_tag; /* command i has the tag T<first_tag + i> */
};

/* One client at work. */
struct job {
    struct conn *conn;
    struct batch batch;
    uint64_t window;   /* how many commands may be unanswered: 1 is "in turn" */
    uint64_t *latency; /* nanoseconds of each command, from sent to answered */
    uint64_t end;      /* clock when the last answer came */
    int result;        /* 0 or -1 with conn->error */
};

/* The messages of the corpus, mapped. */
struct corpus {
    const char *data;
    const uint64_t (*entries)[3]; /* offset, length, INTERNALDATE */
    uint64_t count;
};

uint64_t clock_now(void);

void batch_done(struct batch *batch);

/* `text` may hold several commands separated by " ;; "; the whole is repeated, each "%" being
 * replaced by 1 + (start + i * stride) mod modulus in repetition i. */
void batch_commands(struct batch *batch, struct conn *conn, const char *text, uint64_t repeat,
                    uint64_t start, uint64_t stride, uint64_t modulus);

/* APPEND of messages first, first + step, ... (`count` of them, modulo the corpus), `per_command`
 * in one command (MULTIAPPEND, RFC 3502), literals non-synchronising (RFC 7888). */
struct append_plan {
    const struct corpus *corpus;
    const char *mailbox, *flags; /* flags: "" or "(...)" */
    uint64_t first, step, count, per_command;
};
void batch_append(struct batch *batch, struct conn *conn, const struct append_plan *plan);

/* Runs all jobs at the same time, one thread each (one job: in this thread); returns the wall time
 * in nanoseconds from the start to the last answer. */
uint64_t jobs_run(struct job *jobs, size_t count);

#endif
