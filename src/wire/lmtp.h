/* wire/lmtp.h: LMTP (RFC 2033) and SMTP (RFC 5321) command lines, and the DATA stream.
 *
 * Lines come from a framer in line mode (frame_expect_line). Spans in results point into the line
 * or the arena. Pure functions, any thread. Extensions: SIZE (1870), 8BITMIME (6152), BINARYMIME
 * and CHUNKING (3030), SMTPUTF8 (6531), DSN parameters (3461) are recognised, and our own XMAILBOX:
 * RCPT TO:<user> XMAILBOX=name, the name in UTF-8 as xtext (RFC 3461 section 4), asks for a mailbox
 * other than INBOX. */
#ifndef WIRE_LMTP_H
#define WIRE_LMTP_H

#include "base/arena.h"
#include "base/err.h"

enum lmtp_verb {
    LMTP_UNKNOWN,
    LMTP_LHLO,
    LMTP_EHLO,
    LMTP_HELO,
    LMTP_MAIL,
    LMTP_RCPT,
    LMTP_DATA,
    LMTP_BDAT,
    LMTP_RSET,
    LMTP_NOOP,
    LMTP_QUIT,
    LMTP_VRFY,
    LMTP_HELP,
    LMTP_STARTTLS,
};

struct lmtp_path {
    struct span local;  /* local part, unquoted */
    struct span domain; /* without '@'; "[192.0.2.1]" with brackets; empty for <Postmaster> or a
                         * bare local part */
    struct span text;   /* what stood between '<' and '>', source route removed */
    bool null;          /* <> */
    bool eightbit;      /* needs SMTPUTF8 (valid UTF-8 is guaranteed) */
};

struct lmtp_param {
    struct span name, value; /* value empty and has_value false without '=' */
    bool has_value;
};

enum lmtp_body { LMTP_BODY_7BIT, LMTP_BODY_8BITMIME, LMTP_BODY_BINARYMIME };

struct lmtp_command {
    enum lmtp_verb verb;
    struct span arg;       /* LHLO: domain; VRFY, NOOP, HELP: rest of the line */
    struct lmtp_path path; /* MAIL, RCPT */
    bool has_size, smtputf8, last;
    struct span mailbox; /* RCPT: XMAILBOX, decoded; valid UTF-8 */
    enum lmtp_body body;
    uint64_t size; /* MAIL SIZE=, BDAT length */
    const struct lmtp_param
        *params; /* MAIL, RCPT: those not understood here (ENVID, NOTIFY, ...) */
    unsigned n_params;
};

struct lmtp_error {
    unsigned code;        /* 500, 501, 555, ... */
    const char *enhanced; /* "5.5.4" (RFC 3463) */
    const char *text;     /* static */
};

/* One line without its end. On ERR_INVALID (ERR_LIMIT: arena spent) *ret_error is the reply; verb
 * is set in *ret in any case. */
int lmtp_parse(struct span line, struct arena *a, struct lmtp_command *ret,
               struct lmtp_error *ret_error) must_check;

/* An address "local@domain", "\"quoted local\"@domain" or "local" alone; the whole span. */
int lmtp_address_parse(struct span s, struct arena *a, struct lmtp_path *ret) must_check;

/* Message data after DATA: removes dot-stuffing and finds the end, in any chunking, without
 * buffering. Only CRLF "." CRLF ends the data (RFC 5321 4.1.1.4); bare CR and LF are data and
 * noted. Zero-initialise. */
struct lmtp_data {
    uint8_t state;
    bool bare_lf, bare_cr; /* seen so far */
};

/* Takes bytes from the front of in, returns how many; *ret_data is the next piece of the message
 * (of in or static; maybe empty), *ret_end true once the end has been taken. Repeat until all input
 * is used or the end is reached; what follows the end is not touched. */
size_t lmtp_data_next(struct lmtp_data *d, struct span in, struct span *ret_data,
                      bool *ret_end) must_check;

#endif
