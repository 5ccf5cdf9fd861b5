/* wire/mta_auth.h: the lines of the Dovecot authentication protocol, version 1 (the "auth client"
 * side of it), by which Postfix and Exim have senders authenticated.
 *
 * A line is fields separated by TAB; in a value, octet 1 escapes what cannot stand there. Spans
 * point into the line or the arena. Pure functions, any thread. Limits: MTA_LINE_MAX. */
#ifndef WIRE_MTA_AUTH_H
#define WIRE_MTA_AUTH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { MTA_LINE_MAX = 32 * 1024 };

enum mta_verb { MTA_OTHER, MTA_VERSION, MTA_CPID, MTA_AUTH, MTA_CONT, MTA_CANCEL };

struct mta_request {
    enum mta_verb verb;
    uint32_t id;    /* of AUTH, CONT, CANCEL */
    uint32_t major; /* of VERSION */
    struct span mechanism, service, local, remote;
    bool secured;                   /* the client speaks TLS with the MTA */
    struct span client_certificate; /* the name in a certificate the MTA has verified */
    bool has_response;
    struct span response; /* base64, not decoded */
};

/* The line without its end. Lines of an unknown kind are MTA_OTHER (to be ignored); ERR_INVALID,
 * with a reason for the log: not this protocol. */
int mta_parse(struct span line, struct arena *a, struct mta_request *ret,
              const char **ret_reason) must_check;
/* TAB and the field, escaped. */
void mta_put_field(struct buf *out, struct span name, struct span value);

#endif
