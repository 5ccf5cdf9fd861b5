/* imap/cmd_acl.c: access control lists (RFC 4314) and the rights in LIST (RFC 8440). */
#include "imap/commands.h"
#include "imap/list.h"
#include "imap/place.h"
#include "imap/shares.h"
#include "wire/write.h"

/* The mailbox of the command, for which the right `a` is needed, or (any) some right at all. False:
 * return *ret_step. */
static bool acl_mailbox(struct task *t, struct span name, uint32_t needs, bool any,
                        struct place *place, struct snap **snap, struct mailbox_info *info,
                        uint32_t *ret_rights, enum step *ret_step)
{
    enum {
        SEES = RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT | RIGHT_CREATE | RIGHT_DELETE_MAILBOX |
               RIGHT_ADMINISTER
    };
    uint32_t rights = 0;
    if (!task_place(t, name, false, place, ret_step))
        return false;
    int rc = snap_begin(place->account, snap);
    if (rc == 0)
        rc = snap_mailbox_find(*snap, place->name, info);
    if (rc == 0)
        rc = place_rights(t->session, *snap, place, info->id, &rights);
    /* Section 6: without l, none of these tells that the mailbox exists; MYRIGHTS asks for one of
     * several (section 4). */
    if (rc == 0 && !(rights & (any ? SEES : RIGHT_LOOKUP)))
        rc = ERR_NOT_FOUND;
    if (rc == 0 && (rights & needs) != needs)
        rc = ERR_DENIED;
    *ret_rights = rights;
    if (rc)
        *ret_step = rc == ERR_DENIED ? task_no_permission(t) : task_store_failed(t, rc, false);
    return rc == 0;
}

static void put_astring_of(struct session *s, struct buf *b, struct span text)
{
    write_astring(b, text, session_utf8(s));
}

static void put_list_entry(struct session *s, struct buf *b, struct span identifier,
                           uint32_t rights)
{
    buf_put_byte(b, ' ');
    put_astring_of(s, b, identifier);
    buf_put_byte(b, ' ');
    rights_put(b, rights);
}

/* Whose account it is: shown as an entry of its own, since nothing takes his rights away. */
static struct span owner_of(const struct session *s, const struct place *place)
{
    struct span user = place->prefix;
    if (place->own)
        return span_str(s->user);
    if (span_eq(place->prefix, SPAN(PLACE_SHARED)))
        return span_str(s->host->public_user);
    user = span_skip(user, strlen(PLACE_OTHERS));
    return span_head(user, user.n - 1);
}

static int put_acl(struct task *t, struct snap *snap, const struct place *place,
                   const struct mailbox_info *info)
{
    struct session *s = t->session;
    struct acl_entry a = {SPAN_EMPTY, 0};
    struct span owner = owner_of(s, place);
    int rc;
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* ACL ");
    put_mailbox_name(s, b, place->prefix, info->name);
    put_list_entry(s, b, owner, RIGHTS_ALL);
    while ((rc = snap_acl(snap, info->id, a.identifier, &a)) == 0)
        if (!span_eq(a.identifier, owner))
            put_list_entry(s, b, a.identifier, a.rights);
    buf_put_lit(b, "\r\n");
    respond_end(s);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

enum step cmd_getacl(struct task *t)
{
    struct place place;
    autosnap *snap = NULL;
    struct mailbox_info info;
    uint32_t rights;
    enum step step;
    if (!acl_mailbox(t, t->command->mailbox.name, RIGHT_ADMINISTER, false, &place, &snap, &info,
                     &rights, &step))
        return step;
    int rc = put_acl(t, snap, &place, &info);
    return rc ? task_store_failed(t, rc, false) : task_ok(t, NULL, "GETACL completed");
}

void put_my_rights(struct session *s, struct buf *b, struct span prefix, struct span name,
                   uint32_t rights)
{
    buf_put_lit(b, "* MYRIGHTS ");
    put_mailbox_name(s, b, prefix, name);
    buf_put_byte(b, ' ');
    rights_put(b, rights);
    buf_put_lit(b, "\r\n");
}

enum step cmd_myrights(struct task *t)
{
    struct session *s = t->session;
    struct place place;
    autosnap *snap = NULL;
    struct mailbox_info info;
    uint32_t rights;
    enum step step;
    if (!acl_mailbox(t, t->command->mailbox.name, 0, true, &place, &snap, &info, &rights, &step))
        return step;
    struct buf *b = respond_begin(s);
    put_my_rights(s, b, place.prefix, info.name, rights);
    respond_end(s);
    return task_ok(t, NULL, "MYRIGHTS completed");
}

/* Section 3.4: which rights an identifier always has, and which may be given. */
enum step cmd_listrights(struct task *t)
{
    struct session *s = t->session;
    const struct cmd_acl *a = &t->command->acl;
    struct place place;
    autosnap *snap = NULL;
    struct mailbox_info info;
    uint32_t rights;
    enum step step;
    if (!acl_mailbox(t, a->name, RIGHT_ADMINISTER, false, &place, &snap, &info, &rights, &step))
        return step;
    bool owner = span_eq(a->identifier, owner_of(s, &place));
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* LISTRIGHTS ");
    put_mailbox_name(s, b, place.prefix, info.name);
    buf_put_byte(b, ' ');
    put_astring_of(s, b, a->identifier);
    if (owner) {
        buf_put_byte(b, ' ');
        rights_put(b, RIGHTS_ALL);
    } else {
        buf_put_lit(b, " \"\"");
        rights_put_each(b, RIGHTS_ALL);
    }
    buf_put_lit(b, "\r\n");
    respond_end(s);
    return task_ok(t, NULL, "LISTRIGHTS completed");
}

/* --- changes --- */

static enum step acl_request(struct task *t, uint32_t rights, enum store_mode mode)
{
    const struct cmd_acl *a = &t->command->acl;
    struct place place;
    struct mailbox_info info;
    uint32_t mine;
    enum step step;
    if (!identifier_good(a->identifier))
        return task_bad(t, "That is no identifier");
    {
        autosnap *snap = NULL;
        if (!acl_mailbox(t, a->name, RIGHT_ADMINISTER, false, &place, &snap, &info, &mine, &step))
            return step;
    }
    if (span_eq(a->identifier, owner_of(t->session, &place)))
        return mode == STORE_ADD ? task_ok(t, NULL, "The owner has all rights")
                                 : task_no(t, "CANNOT", "The owner keeps all rights");
    if (rights && mode != STORE_REMOVE && a->identifier.p[0] != '-') {
        int rc = shares_grant(t, owner_of(t->session, &place), a->identifier);
        if (rc)
            return rc == ERR_AGAIN ? STEP_WAIT
                                   : task_store_failed(t, rc == ERR_BUSY ? ERR_CLOSED : rc, false);
    }
    request_init(&t->request, REQUEST_ACL, NULL, NULL);
    task_set_target(t, place.account);
    t->request.name = place.name;
    t->request.identifier = a->identifier;
    t->request.rights = rights;
    t->request.mode = mode;
    return task_request(t);
}

enum step cmd_setacl(struct task *t)
{
    const struct cmd_acl *a = &t->command->acl;
    uint32_t rights;
    if (t->submitted)
        return t->request.result.error ? task_store_failed(t, t->request.result.error, false)
                                       : task_ok(t, NULL, "SETACL completed");
    if (!rights_parse(a->rights, &rights)) /* section 3.1 */
        return task_bad(t, "One of these letters is no right");
    return acl_request(t, rights,
                       a->modify == '+'   ? STORE_ADD
                       : a->modify == '-' ? STORE_REMOVE
                                          : STORE_REPLACE);
}

enum step cmd_deleteacl(struct task *t)
{
    if (t->submitted)
        return t->request.result.error ? task_store_failed(t, t->request.result.error, false)
                                       : task_ok(t, NULL, "DELETEACL completed");
    return acl_request(t, 0, STORE_REPLACE);
}
