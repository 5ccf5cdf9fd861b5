/* wire/url.h: IMAP URLs of messages and their parts (RFC 5092), with URLAUTH (RFC 4467, RFC 5593).
 *
 * What CATENATE, GENURLAUTH and URLFETCH take: URLs of servers, mailboxes and searches are refused.
 * Components are decoded (percent-encoding; UTF-8) into the arena; `rump` is a piece of the text as
 * it was given, because a token signs bytes. Failure: ERR_INVALID, with a reason for people, or
 * ERR_LIMIT (arena). Pure; any thread. */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include "wire/command.h"

enum { URL_MAX = 8192 };

enum url_access {                         /* who may redeem it */
                  URL_ACCESS_NONE,        /* no URLAUTH */
                  URL_ACCESS_USER,        /* "user+joe" */
                  URL_ACCESS_AUTHUSER,    /* anybody who has logged in */
                  URL_ACCESS_ANONYMOUS,   /* everybody */
                  URL_ACCESS_APPLICATION, /* "submit+joe", "stream": sessions of that application */
};

struct imap_url {
    bool absolute;         /* "imap://": */
    struct span user;      /* empty: none; decoded */
    struct span auth_type; /* of ";AUTH=" */
    struct span host;      /* without the port, as given */
    uint32_t port;         /* 0: not given */

    bool has_mailbox;
    struct span mailbox;  /* UTF-8, not normalised; without: the base's (a relative URL) */
    uint32_t uidvalidity; /* 0: not given */
    uint32_t uid;
    bool has_section;
    struct span section_text;
    struct fetch_section section; /* SPEC_ALL without; has_partial from ;PARTIAL */
    bool partial_open;            /* ;PARTIAL without a length: to the end */

    bool has_expire;
    int64_t expire; /* the last second of validity, since 1970 */
    enum url_access access;
    struct span application; /* "submit" */
    struct span access_user; /* decoded; empty: none */
    struct span rump;        /* up to and with the access identifier, as given */
    struct span mechanism;   /* empty: the URL is a rump */
    struct span token;       /* hexadecimal digits */
};

int imap_url_parse(struct span text, const struct parse_limits *limits, struct arena *a,
                   struct imap_url *ret, const char **ret_why) must_check;

#endif
