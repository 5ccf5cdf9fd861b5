/* imap/url_data.h: what an IMAP URL points to, for CATENATE (RFC 4469) and URLFETCH (RFC 4467).
 *
 * Opening finds the message and the bytes of the section; these are then read in slices, outside of
 * any snapshot. Nothing is marked as seen. */
#ifndef IMAP_URL_DATA_H
#define IMAP_URL_DATA_H

#include "imap/fetch.h"
#include "wire/url.h"

struct url_data {
    struct account *account; /* counted */
    uint64_t message_id;
    struct message_access access;
    uint64_t offset, length; /* of the bytes that are meant, PARTIAL considered */
    struct buf fields;       /* chosen header fields; else the bytes are the message's */
    bool chosen;
    bool whole;            /* BODY[] of the message */
    struct mime_part part; /* that the section names */
    bool is_part;          /* all of a MIME part's body, or of the message */
};

/* The mailbox that a URL names on this server, for this session; the selected one where it names
 * none. ERR_NOT_FOUND: no such mailbox, or its UIDVALIDITY is another one. *ret_account is not
 * counted. */
int url_mailbox_find(struct session *s, const struct imap_url *url, struct account **ret_account,
                     uint32_t *ret_mailbox) must_check;
/* The message of that UID in a mailbox of the account. ERR_NOT_FOUND: no such message or part. */
int url_data_open(struct account *account, uint32_t mailbox, const struct imap_url *url,
                  struct url_data *ret) must_check;
void url_data_done(struct url_data *d);
/* The next n bytes from `at` on, counted from the beginning of what is meant. */
int url_data_read(struct url_data *d, uint64_t at, size_t n, struct buf *to) must_check;

#endif
