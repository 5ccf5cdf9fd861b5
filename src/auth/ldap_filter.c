#include "auth/ldap_filter.h"

/* Section 3: octets that mean something, and all that is not plain ASCII, as \XX. */
static void put_escaped(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c >= 0x7f || memchr("*()\\&|!=<>~/", c, 12))
            buf_printf(out, "\\%02x", c);
        else
            buf_put_byte(out, (char)c);
    }
}

void ldap_filter_put(const char *template, struct span name, struct buf *out)
{
    for (const char *t = template; *t; t++) {
        if (t[0] == '%' && t[1] == 'u') {
            put_escaped(name, out);
            t++;
        } else {
            buf_put_byte(out, *t);
            if (t[0] == '%' && t[1] == '%')
                t++;
        }
    }
}
