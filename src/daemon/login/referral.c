/* Users of other servers (LOGIN-REFERRALS, RFC 2221): they prove who they are first, so that a
 * stranger learns nothing of who is where. */
#include "daemon/login/login.h"

/* RFC 5092 section 7: what may stand for itself in a user name; the rest is percent-encoded. */
static void put_user(struct buf *b, struct span user)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < user.n; i++) {
        unsigned char c = (unsigned char)user.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~') {
            buf_put_byte(b, (char)c);
        } else {
            buf_put_byte(b, '%');
            buf_put_byte(b, hex[c >> 4]);
            buf_put_byte(b, hex[c & 15]);
        }
    }
}

/* "fred", or "@example.org" for all of its users. */
static bool fits(struct span name, struct span user)
{
    if (name.n && name.p[0] == '@')
        return user.n > name.n && span_ieq(span_skip(user, user.n - name.n), name);
    return span_eq(name, user);
}

bool referral_find(const struct conf_list *referrals, struct span user, struct buf *ret_code)
{
    for (size_t i = 0; i < referrals->count; i++) {
        struct span host = span_str(referrals->items[i]), name;
        if (!span_split(&host, ' ', &name) || !fits(name, user))
            continue;
        /* RFC 2193 section 4: AUTH=* keeps a client from trying to be anonymous there. */
        buf_put_lit(ret_code, "REFERRAL imap://");
        put_user(ret_code, user);
        buf_put_lit(ret_code, ";AUTH=*@");
        buf_put_span(ret_code, host);
        buf_put_byte(ret_code, '/');
        return buf_ok(ret_code);
    }
    return false;
}
