/* IMAP URLs: RFC 5092 section 11, RFC 4467 section 9, RFC 5593. */
#include "base/buf.h"
#include "support/cmocka.h"
#include "wire/url.h"

static void put(struct buf *b, const char *name, struct span s)
{
    if (s.n)
        buf_printf(b, " %s=" SPAN_FMT, name, SPAN_ARG(s));
}

static void dump(struct buf *b, const struct imap_url *u)
{
    static const char *const access[] = {"", " user", " authuser", " anonymous", " application"};
    if (u->absolute)
        buf_put_lit(b, " absolute");
    put(b, "user", u->user);
    put(b, "auth", u->auth_type);
    put(b, "host", u->host);
    if (u->port)
        buf_printf(b, " port=%u", u->port);
    if (u->has_mailbox)
        put(b, "mailbox", u->mailbox);
    if (u->uidvalidity)
        buf_printf(b, " uidvalidity=%u", u->uidvalidity);
    buf_printf(b, " uid=%u", u->uid);
    if (u->has_section)
        put(b, "section", u->section_text);
    if (u->section.has_partial)
        buf_printf(b, " partial=%llu.%s%llu", (unsigned long long)u->section.offset,
                   u->partial_open ? "open" : "",
                   u->partial_open ? 0ULL : (unsigned long long)u->section.length);
    if (u->has_expire)
        buf_printf(b, " expire=%lld", (long long)u->expire);
    buf_put_str(b, access[u->access]);
    put(b, "for", u->access_user);
    put(b, "application", u->access == URL_ACCESS_APPLICATION ? u->application : SPAN_EMPTY);
    put(b, "rump", u->rump);
    put(b, "mechanism", u->mechanism);
    put(b, "token", u->token);
}

static void check(const char *text, const char *expect)
{
    autoarena a = ARENA_INIT(1 << 16);
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    struct imap_url u;
    const char *why = "";
    int rc = imap_url_parse(span_str(text), NULL, &a, &u, &why);
    if (rc)
        buf_printf(&b, "bad: %s", why);
    else
        dump(&b, &u);
    const char *got = buf_span(&b).p;
    assert_string_equal(rc ? got : got + 1, expect);
}

static void relative(void **state)
{
    (void)state;
    check("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER",
          "mailbox=Drafts uidvalidity=385759045 uid=20 section=HEADER");
    check("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME",
          "mailbox=Drafts uidvalidity=385759045 uid=20 section=1.MIME");
    check("/Drafts/;UID=3002", "mailbox=Drafts uid=3002");
    check("/INBOX/;UID=20/;SECTION=1/;PARTIAL=0.1024",
          "mailbox=INBOX uid=20 section=1 partial=0.1024");
    check("/a/b/;uid=4294967295/;partial=7", "mailbox=a/b uid=4294967295 partial=7.open0");
    check("/Gr%c3%BC%C3%9fe%20%2e/;UID=1", "mailbox=Gr\xc3\xbc\xc3\x9f"
                                           "e . uid=1");
    check(";UID=20/;SECTION=2", "uid=20 section=2");
    check("/x/;UID=1/;SECTION=HEADER.FIELDS%20(From%20To)",
          "mailbox=x uid=1 section=HEADER.FIELDS (From To)");
}

static void refused(void **state)
{
    (void)state;
    check("", "bad: it names no message");
    check("/INBOX", "bad: it names no message");
    check("/INBOX;UIDVALIDITY=7", "bad: it names no message");
    check("/INBOX?SUBJECT%20x", "bad: it names no message");
    check("INBOX/;UID=1", "bad: neither a whole URL nor a path from the root");
    check("http://x/;UID=1", "bad: neither a whole URL nor a path from the root");
    check("//other/INBOX/;UID=1", "bad: no mailbox");
    check("/;UID=1", "bad: a slash is missing behind the mailbox");
    check("/a/../b/;UID=1", "bad: dots as a part of the mailbox name must be encoded");
    check("/a;UID=1", "bad: a slash is missing behind the mailbox");
    check("/a/;UID=0", "bad: not a number that can stand there");
    check("/a/;UID=4294967296", "bad: not a number that can stand there");
    check("/a/;UID=1;SECTION=1", "bad: a slash is missing before a parameter");
    check("/a/;UID=1/", "bad: not a number that can stand there");
    check("/a/;SECTION=1", "bad: it names no message");
    check("/a/;SECTION=1/;UID=1", "bad: no such kind of section");
    check("/a/;UID=1/;SECTION=1.HEAD", "bad: no such kind of section");
    check("/a/;UID=1/;SECTION=MIME", "bad: no such kind of section");
    check("/a/;UID=1/;SECTION=1%5d%3c0.5%3e", "bad: no such kind of section");
    check("/a/;UID=1/;SECTION=HEADER.FIELDS%20(%7b1+%7d%0D%0Ax)",
          "bad: a control character is encoded");
    check("/a/;UID=1/;PARTIAL=5.0", "bad: not a number that can stand there");
    check("/a/;UID=1;FOO=1", "bad: an unknown parameter, or not in its place");
    check("/a%00/;UID=1", "bad: a control character is encoded");
    check("/a%ff/;UID=1", "bad: not UTF-8");
    check("/a%f/;UID=1", "bad: malformed percent-encoding");
    check("/a b/;UID=1", "bad: a character must be percent-encoded");
    check("/a\xc3\xbc/;UID=1", "bad: a character must be percent-encoded");
    check("imap:///a/;UID=1", "bad: no host");
    check("imap://h;x@/a/;UID=1", "bad: malformed user part");
    check("imap://h/;UID=1", "bad: a slash is missing behind the mailbox");
    check("/a/;UID=1;EXPIRE=2027-01-01T00:00:00Z", "bad: EXPIRE needs URLAUTH");
}

static void urlauth(void **state)
{
    (void)state;
    check("imap://ann@mail.example.org/Out/;UID=9/;SECTION=1;EXPIRE=2027-01-01T00:00:00Z;"
          "URLAUTH=submit+ann",
          "absolute user=ann host=mail.example.org mailbox=Out uid=9 section=1 expire=1798761600 "
          "application for=ann application=submit "
          "rump=imap://ann@mail.example.org/Out/;UID=9/;SECTION=1;EXPIRE=2027-01-01T00:00:00Z;"
          "URLAUTH=submit+ann");
    check("IMAP://j%6fe;AUTH=*@h:143/INBOX/;uid=20;urlauth=User+fred:INTERNAL:"
          "91354a473744909de610943775f92038",
          "absolute user=joe auth=* host=h port=143 mailbox=INBOX uid=20 user for=fred "
          "rump=IMAP://j%6fe;AUTH=*@h:143/INBOX/;uid=20;urlauth=User+fred mechanism=INTERNAL "
          "token=91354a473744909de610943775f92038");
    check("imap://a@h/x/;UID=1;URLAUTH=anonymous",
          "absolute user=a host=h mailbox=x uid=1 anonymous "
          "rump=imap://a@h/x/;UID=1;URLAUTH=anonymous");
    check("imap://a@h/x/;UID=1;URLAUTH=stream",
          "absolute user=a host=h mailbox=x uid=1 application application=stream "
          "rump=imap://a@h/x/;UID=1;URLAUTH=stream");
    check("imap://a@h/x/;UID=1;EXPIRE=2026-12-31T23:30:00.5-00:30;URLAUTH=authuser",
          "absolute user=a host=h mailbox=x uid=1 expire=1798761600 authuser "
          "rump=imap://a@h/x/;UID=1;EXPIRE=2026-12-31T23:30:00.5-00:30;URLAUTH=authuser");
    check("imap://a@h/x/;UID=1;URLAUTH=user", "bad: malformed access identifier");
    check("imap://a@h/x/;UID=1;URLAUTH=user+", "bad: malformed access identifier");
    check("imap://a@h/x/;UID=1;URLAUTH=authuser+b", "bad: malformed access identifier");
    check("imap://a@h/x/;UID=1;URLAUTH=", "bad: malformed access identifier");
    check("imap://a@h/x/;UID=1;URLAUTH=authuser:internal", "bad: malformed URLAUTH verifier");
    check("imap://a@h/x/;UID=1;URLAUTH=authuser:internal:91354a473744909de610943775f9203",
          "bad: malformed URLAUTH token");
    check("imap://a@h/x/;UID=1;URLAUTH=authuser:internal:91354a473744909de610943775f9203g",
          "bad: malformed URLAUTH token");
    check("imap://a@h/x/;UID=1;EXPIRE=2027-02-29T00:00:00Z;URLAUTH=authuser",
          "bad: malformed time of expiry");
    check("imap://a@h/x/;UID=1;EXPIRE=2027-01-01T00:00:00;URLAUTH=authuser",
          "bad: malformed time of expiry");
    check("imap://a@h/x/;UID=1;URLAUTH=authuser;EXPIRE=2027-01-01T00:00:00Z",
          "bad: an unknown parameter, or not in its place");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relative),
        cmocka_unit_test(refused),
        cmocka_unit_test(urlauth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
