#include "base/metrics.h"
#include "dump.h"
#include "support/cmocka.h"

/* The text of the first command in input, as the framer gives it in chunks of that size. */
static struct span first_command(struct span input, size_t chunk, struct buf *out)
{
    struct frame f;
    struct frame_event ev = {.kind = FRAME_MORE};
    frame_init(&f, NULL);
    while (ev.kind != FRAME_COMMAND) {
        size_t used = frame_next(&f, span_head(input, chunk), &ev);
        input = span_skip(input, used);
        if (ev.kind == FRAME_LITERAL_ASK)
            frame_literal_accept(&f);
        if (ev.kind == FRAME_ERROR || ev.kind == FRAME_FATAL)
            fail_msg("framer: %s", ev.reason);
        if (ev.kind == FRAME_MORE && input.n == 0)
            fail_msg("the framer found no command");
    }
    buf_put_span(out, ev.text);
    frame_done(&f);
    return buf_span(out);
}

static int parse(struct span input, struct arena *a, struct command **ret, struct parse_error *err)
{
    autobuf line = BUF_INIT(BUF_UNLIMITED);
    autobuf whole = BUF_INIT(BUF_UNLIMITED);
    autobuf bytes = BUF_INIT(BUF_UNLIMITED);
    buf_put_span(&line, input);
    buf_put_lit(&line, "\r\n");
    struct span text = first_command(buf_span(&line), line.n, &whole);
    assert_true(span_eq(text, first_command(buf_span(&line), 1, &bytes)));
    return command_parse_copy(text, NULL, a, ret, err);
}

static void check_ok(struct span input, const char *expect)
{
    autoarena a = ARENA_INIT(1 << 20);
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    struct command *c;
    struct parse_error err;
    int rc = parse(input, &a, &c, &err);
    if (rc)
        fail_msg(SPAN_FMT ": %s", SPAN_ARG(input), err.reason);
    dump_command(&got, c);
    assert_string_equal(got.p, expect);
}

static void check_bad(struct span input, const char *tag, const char *reason)
{
    autoarena a = ARENA_INIT(1 << 20);
    struct command *c = NULL;
    struct parse_error err;
    int rc = parse(input, &a, &c, &err);
    if (rc == 0)
        fail_msg(SPAN_FMT ": accepted", SPAN_ARG(input));
    assert_null(c);
    assert_string_equal(err.reason, reason);
    assert_true(span_eq(err.tag, span_str(tag)));
}

#define OK(in, expect)  check_ok(SPAN(in), expect)
#define BAD(in, reason) check_bad(SPAN(in), "a", reason)

static void simple(void **state)
{
    (void)state;
    OK("a NOOP", "a NOOP");
    OK("a.1]x noop  ", "a.1]x NOOP");
    OK("abcd CAPABILITY", "abcd CAPABILITY");
    OK("A023 LOGOUT", "A023 LOGOUT");
    OK("a STARTTLS", "a STARTTLS");
    OK("A002 NAMESPACE", "A002 NAMESPACE");
    OK("a IDLE", "a IDLE");
    OK("FXXZ CHECK", "FXXZ CHECK");
    OK("A341 CLOSE", "A341 CLOSE");
    OK("A342 UNSELECT", "A342 UNSELECT");
    OK("c compress deflate", "c COMPRESS");
    OK("b1 UIDBATCHES 1000 1:3", "b1 UIDBATCHES");
    OK("b1 UIDBATCHES 1000", "b1 UIDBATCHES");
    BAD("a UIDBATCHES 1000 1", "expected a range of batches after the size of a batch");
    BAD("a UIDBATCHES 0", "numbers of UIDBATCHES are from 1 to 4294967295");
    /* RFC 5259 */
    OK("a CONVERSIONS \"image/gif\" \"image/jpeg\"", "a CONVERSIONS [image/gif] [image/jpeg]");
    OK("d CONVERSIONS \"image/*\" \"text/*\"", "d CONVERSIONS [image/*] [text/*]");
    OK("d CONVERSIONS text/plain \"*\"", "d CONVERSIONS [text/plain] [*]");
    BAD("a CONVERSIONS text \"*\"", "\"text\" is no media type");
    BAD("a CONVERSIONS \"*/*\" \"*\"", "\"*/*\" is no media type");
    BAD("a CONVERSIONS text/plain", "expected a media type after a media type");
    OK("a001 CONVERT 2 (\"APPLICATION/PDF\") BINARY[3]",
       "a001 CONVERT 2 APPLICATION/PDF BINARY:BINARY[3]");
    OK("b001 UID CONVERT 2 (\"text/plain\" (\"charset\" \"us-ascii\" "
       "\"unknown-character-replacement\" \"?\")) (UID BINARY[3] BODYPARTSTRUCTURE[3])",
       "b001 UID CONVERT 2 text/plain [charset=us-ascii] [unknown-character-replacement=?] UID "
       "BINARY:BINARY[3] STRUCTURE:BINARY.SIZE[3]");
    OK("c001 CONVERT 2 (\"TEXT/PLAIN\" (CHARSET us-ascii)) BINARY[4]<2001.1000>",
       "c001 CONVERT 2 TEXT/PLAIN [CHARSET=us-ascii] BINARY:BINARY[4]<2001>1000");
    OK("D002 CONVERT 2 (NIL (\"CHARSET\" \"utf-8\")) BODY[HEADER]",
       "D002 CONVERT 2 NIL [CHARSET=utf-8] HEADER:BODY[HEADER]");
    OK("D012 CONVERT 1:* (NIL) (BODY[1.MIME] body[2.1.header] AVAILABLECONVERSIONS[2] "
       "binary.size[])",
       "D012 CONVERT 1:* NIL MIME:BODY[1.MIME] HEADER:BODY[2.1.HEADER] AVAILABLE:BINARY.SIZE[2] "
       "SIZE:BINARY.SIZE[]");
    BAD("a CONVERT 2 (\"text\") BINARY[3]", "\"text\" is no media type");
    BAD("a CONVERT 2 (\"text/*\") BINARY[3]", "\"text/*\" is no media type");
    BAD("a CONVERT 2 (text/plain) BINARY[3]",
        "expected a quoted media type or NIL after the sequence set, found \"/plain)\"");
    BAD("a CONVERT 2 (NIL (charset)) BINARY[3]",
        "expected its value after a conversion parameter, found \"))\"");
    BAD("a CONVERT 2 (NIL) ()", "expected a CONVERT item after the target, found \")\"");
    BAD("a CONVERT 2 (NIL) FLAGS", "unknown CONVERT item \"FLAGS\"");
    BAD("a CONVERT 2 (NIL) BODY[TEXT]", "CONVERT has BODY of HEADER and MIME only");
    BAD("a CONVERT 2 (NIL) BODY[HEADER]<0.5>", "CONVERT has BODY of HEADER and MIME only");
    BAD("a CONVERT 2 (NIL) BODY[HEADER.FIELDS (To)]", "CONVERT has BODY of HEADER and MIME only");
    BAD("a CONVERT 2 (NIL) BINARY[TEXT]", "expected a part number after BINARY[, found \"TEXT]\"");
    BAD("a CONVERT 2 (NIL)", "expected CONVERT items after the target");
    BAD("a COMPRESS", "expected a mechanism after COMPRESS");
    BAD("a COMPRESS LZ4", "the only mechanism of COMPRESS here is DEFLATE");
    OK("A202 EXPUNGE", "A202 EXPUNGE");
    OK("A003 UID EXPUNGE 3000:3002", "A003 UID EXPUNGE 3000:3002");
    BAD("a NOOP x", "NOOP takes no arguments");
    BAD("a EXPUNGE 1", "EXPUNGE takes no arguments");
    BAD("a UID EXPUNGE", "expected a sequence set after EXPUNGE");
    BAD("a FOO", "unknown command \"FOO\"");
    BAD("a XYZ 1 2", "unknown command \"XYZ\"");
    BAD("a UID", "expected CONVERT, COPY, EXPUNGE, FETCH, MOVE, REPLACE, SEARCH, SORT, STORE or "
                 "THREAD after UID");
    BAD("a UID NOOP", "unknown command \"UID NOOP\"");
    BAD("a UID UID FETCH 1 FLAGS", "unknown command \"UID UID\"");
    BAD("a \x01\xff\"", "unknown command \"??\"\"");
    BAD("a averyveryveryveryveryveryveryveryverylongcommand",
        "unknown command \"averyveryveryveryveryveryveryveryverylon...\"");
    BAD("a ", "expected a command after the tag and one space");
    BAD("a  NOOP", "expected a command after the tag and one space");
    BAD("a NO\rOP", "unknown command \"NO\"");
    check_bad(SPAN("a"), "", "expected a command after the tag \"a\"");
    check_bad(SPAN("+a NOOP"), "", "a command begins with a tag and a space");
    check_bad(SPAN(" NOOP"), "", "a command begins with a tag and a space");
}

static void session(void **state)
{
    (void)state;
    OK("a001 LOGIN SMITH SESAME", "a001 LOGIN [SMITH] [SESAME]");
    OK("a LOGIN \"j \\\"x\\\\\" {3+}\r\np w", "a LOGIN [j \"x\\x5c] [p w]");
    OK("a LOGIN {5}\r\na\r\nb\" \"\"", "a LOGIN [a\\r\\nb\"] []");
    OK("a login \"\xc3\xa4\" \"\xe4\"", "a LOGIN [\\xc3\\xa4] [\\xe4]");
    BAD("a LOGIN", "expected a user name after LOGIN");
    BAD("a LOGIN joe", "expected a password after the user name");
    BAD("a LOGIN joe ", "expected a password after the user name");
    BAD("a LOGIN joe\"secret\"", "expected a password after the user name");
    BAD("a LOGIN joe \\secret", "expected a password after the user name");
    BAD("a LOGIN joe two words",
        "LOGIN takes a user name and a password; quote those with spaces or special characters");
    BAD("a LOGIN \"dom\\joe\" x",
        "in a user name after LOGIN: only \\\" and \\\\ may follow a backslash");
    BAD("a LOGIN \"joe x", "a user name after LOGIN: the quoted string does not end");
    BAD("a LOGIN {2+}\r\n\0x y", "NUL byte in a user name after LOGIN");
    BAD("a LOGIN ~{2+}\r\nxx y", "expected a password after the user name");

    OK("a AUTHENTICATE GSSAPI", "a AUTHENTICATE [GSSAPI]");
    OK("a AUTHENTICATE PLAIN AHRlc3QAdGVzdA==", "a AUTHENTICATE [PLAIN] [AHRlc3QAdGVzdA==]");
    OK("a AUTHENTICATE EXTERNAL =", "a AUTHENTICATE [EXTERNAL] []");
    OK("a AUTHENTICATE SCRAM-SHA-256 ", "a AUTHENTICATE [SCRAM-SHA-256]");
    BAD("a AUTHENTICATE", "expected an authentication mechanism after AUTHENTICATE");
    BAD("a AUTHENTICATE PLAIN \"x\"", "the initial response is not base64");
    BAD("a AUTHENTICATE PLAIN x y", "unexpected \" y\" at the end of AUTHENTICATE");

    OK("a COMPARATOR", "a COMPARATOR");
    OK("A001 COMPARATOR \"cz;*\" i;basic", "A001 COMPARATOR [cz;*] [i;basic]");
    BAD("a COMPARATOR (x)", "expected a comparator after COMPARATOR, found \"(x)\"");
    OK("a LANGUAGE", "a LANGUAGE");
    OK("a LANGUAGE FR-CA \"default\" {2+}\r\nru ", "a LANGUAGE [FR-CA] [default] [ru]");
    BAD("a LANGUAGE (ru)", "expected a language range after LANGUAGE, found \"(ru)\"");
    OK("t1 ENABLE CONDSTORE X-GOOD-IDEA ", "t1 ENABLE [CONDSTORE] [X-GOOD-IDEA]");
    BAD("a ENABLE", "expected a capability after ENABLE");
    BAD("a ENABLE \"x\"", "expected a capability after ENABLE, found \"\"x\"\"");

    OK("a023 ID (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" NIL)",
       "a023 ID [name] [sodr] [version] [19.34] [vendor] NIL");
    OK("a ID nil", "a ID");
    OK("a ID ()", "a ID");
    OK("a ID (\"a\" NILS)", "a ID [a] [NILS]");
    BAD("a ID (\"name\")", "expected a value or NIL after a field name, found \")\"");
    BAD("a ID", "expected NIL or a list of fields after ID");
    BAD("a ID (\"a\" \"b\"", "expected \")\" after a value");
}

static void mailboxes(void **state)
{
    (void)state;
    OK("A142 SELECT INBOX", "A142 SELECT [INBOX]");
    OK("A932 EXAMINE blurdybloop", "A932 EXAMINE [blurdybloop]");
    BAD("a SELECT \"\xe4\"", "a mailbox name after SELECT: the quoted string is not UTF-8");
    OK("a SELECT ab]c&-", "a SELECT [ab]c&-]");
    OK("a DELETE {3}\r\nx y", "a DELETE [x y]");
    OK("A002 SUBSCRIBE #news.comp.mail.mime", "A002 SUBSCRIBE [#news.comp.mail.mime]");
    OK("A002 UNSUBSCRIBE \"\"", "A002 UNSUBSCRIBE []");
    BAD("a SELECT", "expected a mailbox name after SELECT");
    BAD("a SELECT 100%", "unexpected \"%\" at the end of SELECT");
    BAD("a SELECT (x)", "expected a mailbox name after SELECT, found \"(x)\"");
    BAD("a SELECT a b", "unexpected \" b\" at the end of SELECT");
    BAD("a SELECT \"a\"b", "unexpected \"b\" at the end of SELECT");
    BAD("a SELECT {1+}\r\nxy", "unexpected \"y\" at the end of SELECT");
    OK("A682 RENAME blurdybloop sarasoop", "A682 RENAME [blurdybloop] [sarasoop]");
    BAD("a RENAME x", "expected the new name after the old name");
    OK("A003 CREATE owatagusiam/", "A003 CREATE [owatagusiam/]");
    OK("t1 CREATE MySpecial (USE (\\Drafts \\sent))", "t1 CREATE [MySpecial] use 24");
    OK("t1 CREATE x (USE ())", "t1 CREATE [x] use 0");
    OK("t1 CREATE x (USE (\\Foo \\Junk))", "t1 CREATE [x] use 10 [\\x5cFoo]");
    BAD("a CREATE x (FOO)", "unknown CREATE parameter \"FOO\"");
    BAD("a CREATE x (USE (Drafts))",
        "expected a special use like \\Sent after USE, found \"Drafts))\"");
    BAD("a CREATE x (USE (\\Drafts)", "expected \")\" after USE");
    OK("A042 STATUS blurdybloop (UIDNEXT MESSAGES)", "A042 STATUS [blurdybloop] 5");
    OK("a STATUS x (messages recent uidnext uidvalidity unseen deleted size)", "a STATUS [x] 7f");
    BAD("a STATUS x", "expected a list of status items after the mailbox name");
    BAD("a STATUS x ()", "expected a status item after the mailbox name, found \")\"");
    BAD("a STATUS x MESSAGES",
        "expected a list of status items after the mailbox name, found \"MESSAGES\"");
    BAD("a STATUS x (FOO)", "unknown status item \"FOO\"");
    BAD("a STATUS x (SIZE", "expected \")\" after a status item");
    OK("A003 COPY 2:4 MEETING", "A003 COPY 2:4 [MEETING]");
    OK("a UID MOVE 42:69 foo", "a UID MOVE 42:69 [foo]");
    BAD("a COPY MEETING", "expected a sequence set after COPY, found \"MEETING\"");
    BAD("a COPY 1:2", "expected a mailbox name after the sequence set");
    BAD("a COPY 0 x", "\"0\" is not a sequence set");
}

/* RFC 5465 */
static void notify(void **state)
{
    (void)state;
    OK("a NOTIFY NONE", "a NOTIFY none");
    OK("b notify set status (selected MessageNew (uid body.peek[header.fields (from to subject)]) "
       "MessageExpunge) (subtree Lists (MessageNew MessageExpunge FlagChange))",
       "b NOTIFY set status (selected 3) (subtree [Lists] 7) "
       "[(uid body.peek[header.fields (from to subject)])]");
    OK("a notify set (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))",
       "a NOTIFY set (mailboxes [INBOX] 3) (personal 20)");
    OK("a NOTIFY SET (selected-delayed NONE) (subtree (a \"b c\") (MailboxName)) (inboxes NONE) "
       "(subscribed (MailboxMetadataChange ServerMetadataChange))",
       "a NOTIFY set (selected-delayed 0) (subtree [a] [b c] 10) (inboxes 0) (subscribed c0)");
    OK("a NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange Comet))",
       "a NOTIFY set unknown-event (personal b)");
    BAD("a NOTIFY", "expected SET or NONE after NOTIFY");
    BAD("a NOTIFY ALL", "expected SET or NONE, found \"ALL\"");
    BAD("a NOTIFY SET", "expected a group of events after SET");
    BAD("a NOTIFY SET STATUSES (personal NONE)",
        "expected STATUS or a group of events, found \"STATUSES\"");
    BAD("a NOTIFY SET (all (MailboxName))", "unknown mailbox specifier \"all\"");
    BAD("a NOTIFY SET (personal (MessageNew))", "MessageNew and MessageExpunge go together");
    BAD("a NOTIFY SET (personal (FlagChange))",
        "FlagChange and AnnotationChange need MessageNew and MessageExpunge");
    BAD("a NOTIFY SET (selected (MailboxName))", "SELECTED takes events of messages only");
    BAD("a NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "FETCH items go with SELECTED and SELECTED-DELAYED only");
    BAD("a NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "SELECTED can be specified only once");
}

static void list(void **state)
{
    (void)state;
    OK("A101 LIST \"\" \"\"", "A101 LIST [] []");
    OK("A103 LIST /usr/staff/jones \"\"", "A103 LIST [/usr/staff/jones] []");
    OK("A202 LIST ~/Mail/ %", "A202 LIST [~/Mail/] [%]");
    OK("a LIST \"\" foo*%]", "a LIST [] [foo*%]]");
    OK("a LIST \"\" {1+}\r\n*", "a LIST [] [*]");
    OK("A02 LIST (SUBSCRIBED) \"\" \"*\"", "A02 LIST extended SUBSCRIBED [] [*]");
    OK("A03 LIST () \"\" \"%\" RETURN (CHILDREN)", "A03 LIST extended [] [%] CHILDREN");
    OK("A04 LIST (REMOTE) \"\" \"%\" RETURN (CHILDREN)",
       "A04 LIST extended REMOTE [] [%] CHILDREN");
    OK("A06 LIST (REMOTE SUBSCRIBED) \"\" \"*\"", "A06 LIST extended SUBSCRIBED REMOTE [] [*]");
    OK("BBB LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")",
       "BBB LIST extended [] [INBOX] [Drafts] [Sent/%]");
    OK("C04 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"",
       "C04 LIST extended SUBSCRIBED RECURSIVEMATCH [] [%]");
    OK("A01 LIST \"\" % RETURN (STATUS (MESSAGES UNSEEN))", "A01 LIST extended [] [%] STATUS 11");
    OK("A02 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (STATUS (MESSAGES) subscribed)",
       "A02 LIST extended SUBSCRIBED RECURSIVEMATCH [] [%] SUBSCRIBED STATUS 1");
    OK("t3 LIST (SPECIAL-USE) \"\" \"*\"", "t3 LIST extended SPECIAL-USE [] [*]");
    OK("t2 LIST \"\" \"%\" RETURN (SPECIAL-USE)", "t2 LIST extended [] [%] SPECIAL-USE");
    OK("a LIST \"\" % RETURN ()", "a LIST extended [] [%]");
    OK("a LIST \"\" %  ", "a LIST [] [%]");
    BAD("a LIST (RECURSIVEMATCH) \"\" %", "RECURSIVEMATCH needs another option like SUBSCRIBED");
    BAD("a LIST (REMOTE RECURSIVEMATCH) \"\" %",
        "RECURSIVEMATCH needs another option like SUBSCRIBED");
    BAD("a LIST (FOO) \"\" %", "unknown LIST option \"FOO\"");
    BAD("a LIST \"\"", "expected a mailbox pattern after the reference name");
    BAD("a LIST \"\" % FOO", "unexpected \"FOO\" after the pattern");
    BAD("a LIST \"\" % RETURN CHILDREN",
        "expected a list of return options after RETURN, found \"CHILDREN\"");
    BAD("a LIST \"\" % RETURN (FOO)", "unknown LIST option \"FOO\"");
    BAD("a LIST \"\" % RETURN (STATUS)",
        "expected a list of status items after STATUS, found \")\"");
    BAD("a LIST \"\" ()", "expected a mailbox pattern after the reference name, found \")\"");
    OK("A002 LSUB \"#news.\" \"comp.mail.*\"", "A002 LSUB [#news.] [comp.mail.*]");
    BAD("a LSUB \"\" (a b)", "expected a mailbox pattern after the reference name, found \"(a\"");
}

static void append(void **state)
{
    (void)state;
    OK("A003 APPEND saved-messages (\\Seen) {5}\r\nhello",
       "A003 APPEND [saved-messages] { (\\Seen) 5 stream 0 }");
    OK("a APPEND x {0+}\r\n", "a APPEND [x] { 0 stream 0 }");
    /* RFC 3502 */
    OK("A003 APPEND saved-messages (\\Seen) {3+}\r\nabc (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" "
       "{4+}\r\nabcd",
       "A003 APPEND [saved-messages] { (\\Seen) 3 stream 0 } { (\\Seen) at 760689784 -480 4 stream "
       "1 }");
    OK("a APPEND x () \"17-Jul-1996 02:44:25 -0700\" ~{3+}\r\na\0b ",
       "a APPEND [x] { () at 837596665 -420 binary 3 stream 0 }");
    OK("a APPEND {1+}\r\nx ($Junk \\Recent \\Foo work Work) {1+}\r\ny",
       "a APPEND [x] { (\\Recent $Junk work) unknown \\Foo 1 stream 0 }");
    BAD("a APPEND x", "expected flags, a date or a literal after the mailbox name");
    BAD("a APPEND x hello",
        "expected flags, a date or a literal after the mailbox name, found \"hello\"");
    BAD("a APPEND x (\\Seen)", "expected a literal after the flags");
    BAD("a APPEND x \"30-Feb-1996 02:44:25 -0700\" {1+}\r\nx",
        "\"30-Feb-1996 02:44:25 -0700\" is not a date and time");
    BAD("a APPEND x (\\Seen {1+}\r\nx", "expected a flag after a flag, found \"{1+}\"");
    BAD("a APPEND x {1+}\r\nx y",
        "expected flags, a date or a literal after the message, found \"y\"");
    BAD("a APPEND x {1+}\r\nxy", "unexpected \"y\" at the end of APPEND");
    BAD("a APPEND {1*}", "malformed literal for a mailbox name after APPEND");
}

/* RFC 9208 section 7 */
static void test_quota(void **state)
{
    (void)state;
    OK("A GETQUOTA \"!partition/sda4\"", "A GETQUOTA [!partition/sda4]");
    OK("a GETQUOTAROOT INBOX", "a GETQUOTAROOT [INBOX]");
    /* RFC 4314 section 3 */
    OK("A001 SETACL INBOX/Drafts John lrQswicda",
       "A001 SETACL [INBOX/Drafts] [John] = [lrQswicda]");
    OK("a SETACL x -fred +c", "a SETACL [x] [-fred] + [c]");
    OK("a SETACL x anyone -lr", "a SETACL [x] [anyone] - [lr]");
    OK("A002 DELETEACL INBOX Fred", "A002 DELETEACL [INBOX] [Fred]");
    OK("A003 GETACL INBOX", "A003 GETACL [INBOX]");
    OK("a001 LISTRIGHTS ~/Mail/saved smith", "a001 LISTRIGHTS [~/Mail/saved] [smith]");
    OK("A003 MYRIGHTS INBOX", "A003 MYRIGHTS [INBOX]");
    OK("S0002 SETQUOTA \"\" (STORAGE 512 MESSAGE 0)",
       "S0002 SETQUOTA [] [STORAGE] 512 [MESSAGE] 0");
    OK("a SETQUOTA x ()", "a SETQUOTA [x]");
    BAD("a SETQUOTA x (STORAGE)", "expected a limit after the resource, found \")\"");
    BAD("a SETQUOTA x", "expected a list of limits after the name of the quota root");
}

/* RFC 5464 section 5, with what its examples do; RFC 9590, RFC 5466 */
static void test_metadata(void **state)
{
    (void)state;
    OK("a GETMETADATA \"\" /shared/comment", "a GETMETADATA [] depth 0 [/shared/comment]");
    OK("a GETMETADATA (MAXSIZE 1024) INBOX (/shared/comment \"/private/x\")",
       "a GETMETADATA [INBOX] depth 0 max 1024 [/shared/comment] [/private/x]");
    OK("a GETMETADATA INBOX (DEPTH infinity MAXSIZE 1) (/shared/comment)",
       "a GETMETADATA [INBOX] depth 2 max 1 [/shared/comment]");
    OK("a GETMETADATA INBOX /private/comment /shared/comment",
       "a GETMETADATA [INBOX] depth 0 [/private/comment] [/shared/comment]");
    OK("a SETMETADATA INBOX (/private/x NIL /y \"z\" /w ~{2+}\r\nab)",
       "a SETMETADATA [INBOX] [/private/x] NIL [/y] [z] [/w] [ab]");
    OK("a SEARCH NOT FILTER x", "a SEARCH AND ( !FILTER [x] )");
    BAD("a SEARCH FILTER x/y", "the name of a filter has no \"/\"");
    BAD("a GETMETADATA INBOX (DEPTH 2) /x", "unknown DEPTH \"2\"");
    BAD("a GETMETADATA (LEVEL 2) INBOX /x", "unknown GETMETADATA option \"LEVEL\"");
    BAD("a SETMETADATA INBOX (/x y)", "the value must be a string or NIL");
    BAD("a SETMETADATA INBOX (/x \"y\"", "expected \")\" after a value");
}

/* RFC 4469 section 5, RFC 6855 section 4 */
static void catenate(void **state)
{
    (void)state;
    OK("A003 APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE "
       "(URL \"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER\" TEXT {4+}\r\nabcd URL "
       "{3+}\r\nx y)",
       "A003 APPEND [Drafts] { (\\Seen \\Draft $MDNSent) catenate url "
       "[/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER] text 4 stream 0 url [x y] }");
    OK("a append x catenate (url /x text {0+}\r\n) (\\Seen) {1+}\r\na CATENATE (TEXT ~{1+}\r\nb)",
       "a APPEND [x] { catenate url [/x] text 0 stream 0 } { (\\Seen) 1 stream 1 } { catenate text "
       "binary 1 stream 2 }");
    OK("a APPEND x UTF8 (~{2+}\r\nab) CATENATE (UTF8 (~{1+}\r\nc) URL y)",
       "a APPEND [x] { utf8 binary 2 stream 0 } { catenate text utf8 binary 1 stream 1 url [y] }");
    BAD("a APPEND x CATENATE ()", "expected TEXT, URL or UTF8 after CATENATE, found \")\"");
    BAD("a APPEND x CATENATE (URL x", "expected \")\" after the URL");
    BAD("a APPEND x CATENATE (URL x TEXT \"y\")",
        "expected a literal after TEXT, found \"\"y\")\"");
    BAD("a APPEND x UTF8 ({2+}\r\nab)",
        "expected a literal8 after the mailbox name, found \"{2*}\"");
}

/* RFC 8508 section 5 */
static void replace(void **state)
{
    (void)state;
    OK("A003 REPLACE 4 Drafts (\\Seen \\Draft) {2+}\r\nab",
       "A003 REPLACE 4 [Drafts] { (\\Seen \\Draft) 2 stream 0 }");
    OK("a UID REPLACE 2000 x {1+}\r\na", "a UID REPLACE 2000 [x] { 1 stream 0 }");
    OK("a replace * {1+}\r\nx CATENATE (TEXT {1+}\r\na URL /x)",
       "a REPLACE * [x] { catenate text 1 stream 0 url [/x] }");
    BAD("a REPLACE 4:5 x {1+}\r\na", "REPLACE takes the number of one message");
    BAD("a REPLACE $ x {1+}\r\na", "REPLACE takes the number of one message");
    BAD("a REPLACE 1:* x {1+}\r\na", "REPLACE takes the number of one message");
    BAD("a REPLACE 1 x {1+}\r\na {1+}\r\nb", "unexpected \" {1*}??\" at the end of REPLACE");
}

/* RFC 4467 section 9, RFC 5524 section 6 */
static void urlauth(void **state)
{
    (void)state;
    OK("a GENURLAUTH \"imap://j@h/x/;uid=1;urlauth=anonymous\" INTERNAL {1+}\r\ny X-Y.z",
       "a GENURLAUTH [imap://j@h/x/;uid=1;urlauth=anonymous] [INTERNAL] [y] [X-Y.z]");
    BAD("a GENURLAUTH x", "expected a mechanism after the URL");
    BAD("a GENURLAUTH", "expected a URL after GENURLAUTH");
    OK("a URLFETCH x \"y\" (z) (z BINARY bodypartstructure) (w body)",
       "a URLFETCH [x] [y] [z] [z] items 6 [w] items 1");
    BAD("a URLFETCH", "expected a URL after URLFETCH");
    BAD("a URLFETCH (x", "expected \")\" after the URL");
    BAD("a URLFETCH (x BODY BINARY)", "BODY and BINARY cannot be asked for together");
    BAD("a URLFETCH (x BODY BODY)", "BODY is asked for twice");
    BAD("a URLFETCH (x ENVELOPE)", "unknown item \"ENVELOPE\" of URLFETCH");
    OK("a RESETKEY", "a RESETKEY");
    OK("a RESETKEY INBOX", "a RESETKEY [INBOX]");
    OK("a RESETKEY \"a b\" INTERNAL x", "a RESETKEY [a b] [INTERNAL] [x]");
}

static void append_parts(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(10000);
    struct parse_error err;
    struct append_part m;
    assert_int_equal(append_part_parse(SPAN(" (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {7*}\r\n"),
                                       NULL, &a, &m, &err),
                     0);
    assert_true(m.bytes.streamed && m.has_flags && m.has_date);
    assert_int_equal(m.bytes.size, 7);
    assert_int_equal(m.flags.system, WIRE_FLAG_SEEN);
    assert_int_equal(append_part_parse(SPAN(" {7*}"), NULL, &a, &m, &err), ERR_INVALID);
    assert_int_equal(append_part_parse(SPAN("{7*}\r\n"), NULL, &a, &m, &err), ERR_INVALID);
    assert_int_equal(append_part_parse(SPAN(" {3}\r\nabc"), NULL, &a, &m, &err), 0);
    assert_true(!m.bytes.streamed && span_eq(m.bytes.data, SPAN("abc")));
    assert_int_equal(append_part_parse(SPAN(" {3}\r\nab"), NULL, &a, &m, &err), ERR_INVALID);
}

static void search(void **state)
{
    (void)state;
    OK("A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
       "A282 SEARCH AND ( FLAG (\\Flagged) SINCE 1-Feb-1994 !FROM [Smith] )");
    OK("A282 SEARCH RETURN (MIN COUNT) FLAGGED SINCE \"1-Feb-1994\" NOT FROM Smith",
       "A282 SEARCH RETURN MIN COUNT; AND ( FLAG (\\Flagged) SINCE 1-Feb-1994 !FROM [Smith] )");
    OK("A283 SEARCH RETURN () FLAGGED", "A283 SEARCH RETURN ALL; AND ( FLAG (\\Flagged) )");
    OK("A284 SEARCH TEXT \"string not in mailbox\"",
       "A284 SEARCH AND ( TEXT [string not in mailbox] )");
    OK("A285 SEARCH CHARSET UTF-8 TEXT {12}\r\nabcdefghijkl",
       "A285 SEARCH [UTF-8] AND ( TEXT [abcdefghijkl] )");
    OK("a UID SEARCH RETURN (SAVE) charset \"iso-8859-1\" UNSEEN",
       "a UID SEARCH RETURN SAVE; [iso-8859-1] AND ( !FLAG (\\Seen) )");
    OK("a SEARCH SAVEDBEFORE 1-Feb-1994 SAVEDON 1-Feb-1994 NOT SAVEDSINCE 1-Feb-1994",
       "a SEARCH AND ( SAVEDBEFORE 1-Feb-1994 SAVEDON 1-Feb-1994 !SAVEDSINCE 1-Feb-1994 )");
    OK("A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994", /* RFC 5256 section 6 */
       "A282 SORT SUBJECT [UTF-8] AND ( SINCE 1-Feb-1994 )");
    OK("A283 UID SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
       "A283 UID SORT SUBJECT !DATE [UTF-8] AND ( ALL )");
    OK("A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000",
       "A283 THREAD ORDEREDSUBJECT [UTF-8] AND ( SINCE 5-Mar-2000 )");
    OK("A284 UID THREAD references US-ASCII TEXT \"gewp\"",
       "A284 UID THREAD REFERENCES [US-ASCII] AND ( TEXT [gewp] )");
    OK("a THREAD REFS utf-8 ALL", "a THREAD REFS [utf-8] AND ( ALL )");
    BAD("a SORT () UTF-8 ALL", "expected a sort criterion after SORT, found \")\"");
    BAD("a SORT (REVERSE) UTF-8 ALL", "expected a sort criterion after REVERSE, found \")\"");
    BAD("a THREAD REFERENCES ALL", "expected a SEARCH key after the charset");
    OK("a SEARCH SAVEDATESUPPORTED", "a SEARCH AND ( ALL )");
    OK("a SEARCH UIDAFTER 7 UIDBEFORE $", "a SEARCH AND ( UIDAFTER 7 UIDBEFORE $ )");
    BAD("a SEARCH UIDAFTER 7:8", "expected one UID");
    BAD("a SEARCH UIDBEFORE *", "expected one UID");
    OK("a SEARCH OR 1:3 (UID 7:* LARGER 100)",
       "a SEARCH AND ( OR ( SEQ 1:3 AND ( UID 7:* LARGER 100 ) ) )");
    OK("a SEARCH OR OR SEEN NOT DRAFT NOT OR ALL $ 5",
       "a SEARCH AND ( OR ( OR ( FLAG (\\Seen) !FLAG (\\Draft) ) !OR ( ALL SEQ $ ) ) SEQ 5 )");
    OK("a SEARCH NOT NOT SEEN NOT NOT NOT SEEN NOT (SEEN) NOT UNSEEN",
       "a SEARCH AND ( FLAG (\\Seen) !FLAG (\\Seen) !AND ( FLAG (\\Seen) ) FLAG (\\Seen) )");
    OK("a SEARCH NEW NOT NEW OLD RECENT", "a SEARCH AND ( AND ( FLAG (\\Recent) !FLAG (\\Seen) ) "
                                          "!AND ( FLAG (\\Recent) !FLAG (\\Seen) ) "
                                          "!FLAG (\\Recent) FLAG (\\Recent) )");
    OK("a SEARCH ANSWERED BCC a BODY b CC c DELETED DRAFT FLAGGED FROM d KEYWORD $Junk SEEN "
       "SUBJECT e "
       "TEXT f TO g UNANSWERED UNDELETED UNFLAGGED UNKEYWORD x UNSEEN UNDRAFT",
       "a SEARCH AND ( FLAG (\\Answered) BCC [a] BODY [b] CC [c] FLAG (\\Deleted) FLAG (\\Draft) "
       "FLAG "
       "(\\Flagged) FROM [d] KEYWORD [$Junk] FLAG (\\Seen) SUBJECT [e] TEXT [f] TO [g] !FLAG "
       "(\\Answered) !FLAG (\\Deleted) !FLAG (\\Flagged) !KEYWORD [x] !FLAG (\\Seen) !FLAG "
       "(\\Draft) )");
    OK("a SEARCH BEFORE 1-Jan-2000 ON 2-Jan-2000 SINCE 03-jan-2000 SENTBEFORE 4-Jan-2000 SENTON "
       "5-Jan-2000 SENTSINCE 31-Dec-1999",
       "a SEARCH AND ( BEFORE 1-Jan-2000 ON 2-Jan-2000 SINCE 3-Jan-2000 SENTBEFORE 4-Jan-2000 "
       "SENTON "
       "5-Jan-2000 SENTSINCE 31-Dec-1999 )");
    OK("a SEARCH HEADER Message-ID <x@y> HEADER \"X-Y\" \"\" SMALLER 9223372036854775807",
       "a SEARCH AND ( HEADER [Message-ID] [<x@y>] HEADER [X-Y] [] SMALLER 9223372036854775807 )");
    OK("a SEARCH ((((ALL))))  ", "a SEARCH AND ( AND ( AND ( AND ( AND ( ALL ) ) ) ) )");
    OK("a SEARCH (OR (ALL SEEN) (NOT DELETED)) 2,4:7,*",
       "a SEARCH AND ( AND ( OR ( AND ( ALL FLAG (\\Seen) ) AND ( !FLAG (\\Deleted) ) ) ) SEQ "
       "2,4:7,* )");
}

/* RFC 7377 section 3, and what it says in section 2 */
static void esearch(void **state)
{
    (void)state;
    OK("tag1 ESEARCH IN (mailboxes \"folder1\" subtree \"folder2\") unseen",
       "tag1 UID ESEARCH IN MAILBOXES [folder1] SUBTREE [folder2]; AND ( !FLAG (\\Seen) )");
    OK("tag2 ESEARCH IN (mailboxes \"folder1\" subtree-one \"folder2\") subject \"chad\"",
       "tag2 UID ESEARCH IN MAILBOXES [folder1] SUBTREE-ONE [folder2]; AND ( SUBJECT [chad] )");
    OK("tag1 UID ESEARCH FROM \"frobozz\" 1:100",
       "tag1 UID ESEARCH AND ( FROM [frobozz] SEQ 1:100 )");
    OK("a ESEARCH IN (selected inboxes personal subscribed mailboxes (a b)) RETURN (MIN COUNT) "
       "CHARSET UTF-8 ALL",
       "a UID ESEARCH IN SELECTED INBOXES PERSONAL SUBSCR MAILBOXES [a] [b]; RETURN MIN COUNT; "
       "[UTF-8] AND ( ALL )");
    OK("a ESEARCH IN (selected) RETURN (SAVE) ALL",
       "a UID ESEARCH IN SELECTED; RETURN SAVE; AND ( ALL )");
    BAD("a ESEARCH", "expected a SEARCH key after ESEARCH");
    BAD("a ESEARCH IN (personal)", "expected a SEARCH key after the mailboxes");
    BAD("a ESEARCH IN () ALL", "expected SELECTED, PERSONAL or the like after IN, found \")\"");
    BAD("a ESEARCH IN (selected-delayed) ALL", "SELECTED-DELAYED is for NOTIFY only");
    BAD("a ESEARCH IN (foo) ALL", "unknown mailbox specifier \"foo\"");
    BAD("a ESEARCH IN (personal (x 1)) ALL", "no scope options are known here");
    BAD("a ESEARCH IN (personal) RETURN (SAVE) ALL", "SAVE goes with SELECTED alone");
    BAD("a ESEARCH IN (selected personal) RETURN (ALL SAVE) ALL", "SAVE goes with SELECTED alone");
    BAD("a ESEARCH IN (subtree) ALL", "expected a mailbox name after the mailbox specifier, found "
                                      "\")\"");
    BAD("a NOTIFY SET (subtree-one x (MessageNew MessageExpunge))",
        "SUBTREE-ONE is for ESEARCH only");
}

/* RFC 6203: its examples, and section 7 */
static void fuzzy(void **state)
{
    (void)state;
    OK("A1 SEARCH FUZZY (SUBJECT \"IMAP break\")",
       "A1 SEARCH AND ( ~AND ( ~SUBJECT [IMAP break] ) )");
    OK("A2 SEARCH FUZZY SUBJECT work FROM user@example.com",
       "A2 SEARCH AND ( ~SUBJECT [work] FROM [user@example.com] )");
    OK("B1 SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT \"Helo\"",
       "B1 SEARCH RETURN ALL RELEVANCY; AND ( ~TEXT [Helo] )");
    OK("C1 SORT (RELEVANCY) UTF-8 FUZZY SUBJECT \"Helo\"",
       "C1 SORT RELEVANCY [UTF-8] AND ( ~SUBJECT [Helo] )");
    OK("C3 SORT RETURN (PARTIAL 1:10) (RELEVANCY) UTF-8 FUZZY TEXT \"World\"",
       "C3 SORT RELEVANCY RETURN PARTIAL 1-10 1:10; [UTF-8] AND ( ~TEXT [World] )");
    OK("a SEARCH NOT FUZZY OR FROM x NOT (TO y SEEN) CC z",
       "a SEARCH AND ( !~OR ( ~FROM [x] !~AND ( ~TO [y] ~FLAG (\\Seen) ) ) CC [z] )");
    OK("a SEARCH FUZZY FUZZY NOT SEEN", "a SEARCH AND ( !~FLAG (\\Seen) )");
    OK("a SEARCH RETURN (RELEVANCY) FILTER x", "a SEARCH RETURN RELEVANCY; AND ( FILTER [x] )");
    BAD("a SEARCH FUZZY", "expected a SEARCH key after FUZZY");
    BAD("a SEARCH RETURN (RELEVANCY ALL) TEXT x", "RELEVANCY needs a FUZZY key");
    BAD("a SORT (RELEVANCY) UTF-8 TEXT x", "RELEVANCY needs a FUZZY key");
}

static void search_errors(void **state)
{
    (void)state;
    BAD("a SEARCH", "expected a SEARCH key after SEARCH");
    BAD("a SEARCH FOO", "unknown SEARCH key \"FOO\"");
    OK("A02 UID SEARCH RETURN (PARTIAL 24000:23500) ALL",
       "A02 UID SEARCH RETURN PARTIAL 23500-24000 24000:23500; AND ( ALL )");
    OK("A SEARCH RETURN (PARTIAL -1:-100 COUNT) ALL",
       "A SEARCH RETURN COUNT PARTIAL end 1-100 -1:-100; AND ( ALL )");
    OK("a SEARCH RETURN (UPDATE (UID BODY.PEEK[HEADER]) CONTEXT) ALL",
       "a SEARCH RETURN UPDATE CONTEXT [(UID BODY.PEEK[HEADER])]; AND ( ALL )");
    BAD("a SEARCH RETURN (PARTIAL) ALL", "expected a range like 1:100 after PARTIAL, found \")\"");
    BAD("a SEARCH RETURN (PARTIAL 1:-2) ALL", "a range is from the beginning or from the end");
    BAD("a SEARCH RETURN (PARTIAL 0:2) ALL", "places are from 1 to 4294967295");
    BAD("a SEARCH RETURN (ALL PARTIAL 1:2) ALL",
        "PARTIAL goes neither with ALL nor with another PARTIAL");
    OK("B04 CANCELUPDATE \"B01\" \"B02\"", "B04 CANCELUPDATE [B01] [B02]");
    BAD("a CANCELUPDATE", "expected a tag in quotes after CANCELUPDATE");
    BAD("a SEARCH RETURN (MIN)", "expected a SEARCH key after the return options");
    BAD("a SEARCH RETURN (FOO) ALL", "unknown SEARCH return option \"FOO\"");
    BAD("a SEARCH RETURN MIN ALL", "expected a list of return options after RETURN, found \"MIN\"");
    BAD("a SEARCH CHARSET", "unknown SEARCH key \"CHARSET\"");
    BAD("a SEARCH CHARSET UTF-8", "expected a SEARCH key after the charset");
    BAD("a SEARCH NOT", "expected a SEARCH key after NOT");
    BAD("a SEARCH OR SEEN", "expected a second SEARCH key after the first key of OR");
    BAD("a SEARCH OR", "expected a SEARCH key after OR");
    BAD("a SEARCH ()", "expected a SEARCH key after \"(\", found \")\"");
    BAD("a SEARCH (SEEN", "expected \")\" after a SEARCH key");
    BAD("a SEARCH (SEEN ", "expected a SEARCH key after a SEARCH key");
    BAD("a SEARCH SEEN)", "expected a SEARCH key after a SEARCH key, found \")\"");
    BAD("a SEARCH FROM", "expected a string after FROM");
    BAD("a SEARCH SINCE yesterday", "\"yesterday\" is not a date like 1-Feb-1994");
    BAD("a SEARCH ON 29-Feb-1999", "\"29-Feb-1999\" is not a date like 1-Feb-1994");
    BAD("a SEARCH LARGER x", "expected a number after LARGER, found \"x\"");
    BAD("a SEARCH LARGER 9223372036854775808",
        "the number 9223372036854775808 after LARGER is too large");
    BAD("a SEARCH HEADER x", "expected a string after the header field name");
    BAD("a SEARCH KEYWORD \\Seen", "expected a keyword after KEYWORD, found \"\\Seen\"");
    BAD("a SEARCH KEYWORD \"a b\"", "\"a b\" is not a keyword");
    BAD("a SEARCH UID x", "expected a sequence set after UID, found \"x\"");
    BAD("a SEARCH 1:", "\"1:\" is not a sequence set");
}

static void fetch(void **state)
{
    (void)state;
    OK("A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
       "A654 FETCH 2:4 FLAGS BODY[HEADER.FIELDS (DATE FROM)] seen");
    OK("a FETCH 1 FLAGS", "a FETCH 1 FLAGS");
    OK("a UID FETCH 1:* (FLAGS)", "a UID FETCH 1:* FLAGS");
    OK("a fetch 4,*:3 all", "a FETCH 4,3:* FLAGS INTERNALDATE RFC822.SIZE ENVELOPE");
    OK("a FETCH 1 FAST", "a FETCH 1 FLAGS INTERNALDATE RFC822.SIZE");
    OK("a FETCH $ (FULL)", "a FETCH $ FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY");
    OK("a FETCH 1 (UID INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE RFC822 RFC822.HEADER "
       "RFC822.TEXT UID)",
       "a FETCH 1 UID INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE RFC822 "
       "RFC822.HEADER RFC822.TEXT seen");
}

static void fetch_sections(void **state)
{
    (void)state;
    OK("a FETCH 1 BODY[]", "a FETCH 1 BODY[] seen");
    /* RFC 8970 section 6 */
    OK("a FETCH 1 PREVIEW", "a FETCH 1 PREVIEW");
    OK("a FETCH 1 (preview UID)", "a FETCH 1 UID PREVIEW");
    OK("a FETCH 1 PREVIEW (LAZY)", "a FETCH 1 PREVIEW-LAZY");
    OK("a FETCH 1:4 (ENVELOPE PREVIEW (lazy lazy) FLAGS)",
       "a FETCH 1:4 FLAGS ENVELOPE PREVIEW-LAZY");
    OK("a FETCH 1 PREVIEW (CHANGEDSINCE 7)", "a FETCH 1 MODSEQ PREVIEW");
    OK("a FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 7)", "a FETCH 1 MODSEQ PREVIEW-LAZY");
    OK("a FETCH 1 (PREVIEW PREVIEW (LAZY))", "a FETCH 1 PREVIEW PREVIEW-LAZY");
    BAD("a FETCH 1 (PREVIEW (FAST))",
        "expected a FETCH item after a FETCH item, found \"(FAST))\"");
    BAD("a FETCH 1 (PREVIEW (LAZY FAST))", "unknown modifier \"FAST\" of PREVIEW");
    BAD("a FETCH 1 (PREVIEW (LAZY", "expected \")\" after LAZY");
    OK("a FETCH 1 BODY.PEEK[]<0.2048>", "a FETCH 1 peek BODY[]<0>2048");
    OK("a FETCH 1 BODY[1.2.3]", "a FETCH 1 BODY[1.2.3] seen");
    OK("a FETCH 1 (body.peek[1.mime] body.peek[TEXT] body.peek[4.1.header] UID)",
       "a FETCH 1 UID peek BODY[1.MIME] peek BODY[TEXT] peek BODY[4.1.HEADER]");
    OK("a FETCH 1 BODY.PEEK[1.HEADER.FIELDS.NOT (\"X Y\" {2+}\r\na] b)]<1.1>",
       "a FETCH 1 peek BODY[1.HEADER.FIELDS.NOT (\"X Y\" a] b)]<1>1");
    OK("a FETCH 1 (BINARY[1] BINARY.PEEK[2]<5.6> BINARY.SIZE[3] BINARY[])",
       "a FETCH 1 BINARY[1] peek BINARY[2]<5>6 peek BINARY.SIZE[3] BINARY[] seen");
    /* equal ones once; reading wins over peeking */
    OK("a FETCH 1 (BODY.PEEK[1] BODY[1] BODY.PEEK[1] BODY[1]<0.1>)",
       "a FETCH 1 BODY[1] BODY[1]<0>1 seen");
    OK("a FETCH 1 (BODY.PEEK[HEADER.FIELDS (A)] BODY.PEEK[HEADER.FIELDS (a)] "
       "BODY.PEEK[HEADER.FIELDS (b)])",
       "a FETCH 1 peek BODY[HEADER.FIELDS (A)] peek BODY[HEADER.FIELDS (b)]");
    BAD("a FETCH", "expected a sequence set after FETCH");
    BAD("a FETCH x FLAGS", "expected a sequence set after FETCH, found \"x\"");
    BAD("a FETCH 1", "expected FETCH items after the sequence set");
    BAD("a FETCH 1 ()", "expected a FETCH item after the sequence set, found \")\"");
    BAD("a FETCH 1 FOO", "unknown FETCH item \"FOO\"");
    BAD("a FETCH 1 FLAGS UID", "unexpected \" UID\" at the end of FETCH");
    BAD("a FETCH 1 (FLAGS", "expected \")\" after a FETCH item");
    BAD("a FETCH 1 (FLAGS ALL)", "unknown FETCH item \"ALL\"");
    BAD("a FETCH 1 (ALL FLAGS)", "expected \")\" after the macro, found \" FLAGS)\"");
}

static void fetch_errors(void **state)
{
    (void)state;
    BAD("a FETCH 1 BODY[", "expected HEADER, HEADER.FIELDS, TEXT or MIME after BODY[");
    BAD("a FETCH 1 BODY[1", "expected \"]\" after BODY[");
    BAD("a FETCH 1 BODY[1.]",
        "expected HEADER, HEADER.FIELDS, TEXT or MIME after BODY[, found \"]\"");
    BAD("a FETCH 1 BODY[0]", "part numbers are from 1 to 4294967295");
    BAD("a FETCH 1 BODY[4294967296]", "part numbers are from 1 to 4294967295");
    BAD("a FETCH 1 BODY[MIME]", "MIME needs a part number, as in BODY[1.MIME]");
    BAD("a FETCH 1 BODY[FOO]", "unknown section \"FOO\"");
    BAD("a FETCH 1 BODY[HEADER.FIELDS]",
        "expected a list of header fields after HEADER.FIELDS, found \"]\"");
    BAD("a FETCH 1 BODY[HEADER.FIELDS ()]",
        "expected a header field name after HEADER.FIELDS, found \")]\"");
    BAD("a FETCH 1 BODY[]<0.0>", "a range must not be empty");
    BAD("a FETCH 1 BODY[]<0>", "expected a range like <0.2048> after BODY[, found \">\"");
    BAD("a FETCH 1 BODY[]<5.>", "expected a range like <0.2048> after BODY[, found \">\"");
    BAD("a FETCH 1 BINARY", "BINARY needs a section, as in BINARY[1]");
    BAD("a FETCH 1 BODY.PEEK", "BODY.PEEK needs a section, as in BODY.PEEK[1]");
    BAD("a FETCH 1 BINARY[TEXT]", "expected a part number after BINARY[, found \"TEXT]\"");
    BAD("a FETCH 1 BINARY[1.MIME]", "expected a part number after BINARY[, found \"MIME]\"");
    BAD("a FETCH 1 BINARY.SIZE[1]<0.1>", "unexpected \"<0.1>\" at the end of FETCH");
    BAD("a FETCH 1 FLAGS[1]", "unknown FETCH item \"FLAGS\"");
}

static void store(void **state)
{
    (void)state;
    OK("A003 STORE 2:4 +FLAGS (\\Deleted)", "A003 STORE 2:4 + (\\Deleted)");
    OK("a UID STORE 1 -flags.silent \\Seen $Junk ", "a UID STORE 1 - silent (\\Seen $Junk)");
    OK("a STORE 1:* FLAGS ()", "a STORE 1:* = ()");
    OK("a STORE 1 FLAGS.SILENT (a b A \\Recent \\Bar \\Baz)",
       "a STORE 1 = silent (\\Recent a b) unknown \\Bar");
    BAD("a STORE 1 FLAGS", "expected a list of flags after FLAGS");
    BAD("a STORE 1 FLAGS (", "expected a flag after FLAGS");
    BAD("a STORE 1 FLAGS (a  b)", "expected a flag after a flag, found \" b)\"");
    BAD("a STORE 1 FLAGS a,b(c)", "unexpected \"(c)\" at the end of STORE");
    BAD("a STORE 1 *FLAGS (a)", "expected FLAGS, +FLAGS or -FLAGS after the sequence set, found "
                                "\"*FLAGS\"");
    BAD("a STORE 1 FOO (a)", "expected FLAGS, +FLAGS or -FLAGS, found \"FOO\"");
    BAD("a STORE 1 FLAGS \"a\"", "expected a flag after FLAGS, found \"\"a\"\"");
    BAD("a STORE 1 FLAGS (\\*)", "expected a flag after FLAGS, found \"*)\"");
}

/* ---- limits ---- */

static void check_limit(struct span text, const struct parse_limits *limits, size_t budget,
                        const char *reason)
{
    autoarena a = ARENA_INIT(budget);
    struct command *c;
    struct parse_error err;
    assert_int_equal(command_parse(text, limits, &a, &c, &err), ERR_LIMIT);
    assert_string_equal(err.reason, reason);
}

static void limits(void **state)
{
    (void)state;
    struct parse_limits l = parse_limits_default;
    l.max_depth = l.max_args = l.max_flags = l.max_sections = 3;
    l.max_parts = l.max_ranges = l.max_messages = 3;
    l.max_search_nodes = 5;
    const size_t much = 1 << 20;
    check_limit(SPAN("a SEARCH ((((ALL))))"), &l, much,
                "SEARCH keys nested too deeply (at most 3 levels)");
    check_limit(SPAN("a SEARCH ALL ALL ALL ALL ALL"), &l, much, "too many SEARCH keys (at most 5)");
    check_limit(SPAN("a STORE 1 FLAGS (a b c d)"), &l, much, "too many flags (at most 3)");
    check_limit(SPAN("a FETCH 1 (BODY[1] BODY[2] BODY[3] BODY[4])"), &l, much,
                "too many FETCH sections (at most 3)");
    check_limit(SPAN("a FETCH 1 BODY[1.2.3.4]"), &l, much, "too many part numbers (at most 3)");
    check_limit(SPAN("a FETCH 1 BODY[HEADER.FIELDS (a b c d)]"), &l, much,
                "too many header fields (at most 3)");
    check_limit(SPAN("a FETCH 1,3,5,7 FLAGS"), &l, much,
                "too many ranges in a sequence set (at most 3)");
    check_limit(SPAN("a LIST \"\" (a b c d)"), &l, much, "too many patterns (at most 3)");
    check_limit(SPAN("a APPEND x {1*}\r\n {1*}\r\n {1*}\r\n {1*}\r\n"), &l, much,
                "too many messages (at most 3)");
    check_limit(SPAN("a NOOP"), NULL, 16, "the command needs too much memory");
    check_limit(SPAN("a FETCH 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18 FLAGS"), NULL, 200,
                "the command needs too much memory");
}

static void deep_nesting(void **state)
{
    (void)state;
    autobuf in = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&in, "a SEARCH ");
    for (int i = 0; i < 30000; i++)
        buf_put_str(&in, i % 2 ? "(" : "NOT ");
    check_limit(buf_span(&in), NULL, 1 << 20, "SEARCH keys nested too deeply (at most 50 levels)");
    buf_reset(&in);
    buf_put_lit(&in, "a SEARCH ");
    for (int i = 0; i < 30000; i++)
        buf_put_lit(&in, "OR ");
    check_limit(buf_span(&in), NULL, 1 << 20, "SEARCH keys nested too deeply (at most 50 levels)");
}

/* Every cut of a long command fails or parses, and never reads beyond (exact heap copies). */
static void truncated(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a SEARCH RETURN (MIN ALL) CHARSET UTF-8 OR (NOT FROM \"x\\\"\" NEW) HEADER {1}\r\nx y 1:*",
        "a UID FETCH 1:*,$ (UID BODY.PEEK[1.2.HEADER.FIELDS (a {1}\r\nb)]<1.2> BINARY[1])",
        "a LIST (SUBSCRIBED) \"\" (a \"b\") RETURN (STATUS (MESSAGES) CHILDREN)",
        "a APPEND {1}\r\nx (\\Seen b) \"17-Jul-1996 02:44:25 -0700\" {3*}\r\n ~{1}\r\nz",
        "a STORE 1,2 +FLAGS.SILENT (\\Seen x)",
        "a CREATE x (USE (\\Sent))",
        "a ID (\"a\" \"b\" \"c\" NIL)",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t len = strlen(texts[i]);
        for (size_t n = 0; n <= len; n++) {
            autoarena a = ARENA_INIT(1 << 20);
            autofree char *copy = xmalloc(n);
            autobuf out = BUF_INIT(BUF_UNLIMITED);
            struct command *c;
            struct parse_error err;
            memcpy(copy, texts[i], n);
            int rc = command_parse(span_make(copy, n), NULL, &a, &c, &err);
            if (rc == 0)
                dump_command(&out, c);
            else
                assert_true(strlen(err.reason) > 0);
            if (n == len)
                assert_int_equal(rc, 0);
        }
    }
}

static void table(void **state)
{
    (void)state;
    for (int id = CMD_CAPABILITY; id < CMD_COUNT; id++) {
        const struct command_desc *d = command_desc((enum command_id)id);
        assert_int_equal(d->id, id);
        assert_true(d->states && d->forms && d->parse);
        assert_ptr_equal(command_lookup(span_str(d->name)), d);
    }
    assert_null(command_lookup(SPAN_EMPTY));
    assert_null(command_lookup(SPAN("NOOPX")));
    assert_null(command_lookup(SPAN("UID")));
    assert_ptr_equal(command_lookup(SPAN("uNsubscribe")), command_desc(CMD_UNSUBSCRIBE));
    assert_int_equal(command_desc(CMD_STARTTLS)->states, CMD_IN_NOT_AUTH);
    assert_int_equal(command_desc(CMD_FETCH)->states, CMD_IN_SELECTED);
    assert_int_equal(command_desc(CMD_IDLE)->states, CMD_IN_AUTH | CMD_IN_SELECTED);
}

/* base/metrics.c repeats the names: it knows nothing of IMAP. */
static void test_metric_names(void **state)
{
    (void)state;
    for (unsigned id = CMD_NONE + 1; id < CMD_COUNT; id++)
        assert_string_equal(metric_command_name(METRIC_COMMAND(id)),
                            command_desc((enum command_id)id)->name);
    assert_null(metric_command_name(CMD_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metric_names),
        cmocka_unit_test(simple),
        cmocka_unit_test(session),
        cmocka_unit_test(mailboxes),
        cmocka_unit_test(notify),
        cmocka_unit_test(list),
        cmocka_unit_test(append),
        cmocka_unit_test(catenate),
        cmocka_unit_test(replace),
        cmocka_unit_test(urlauth),
        cmocka_unit_test(append_parts),
        cmocka_unit_test(search),
        cmocka_unit_test(esearch),
        cmocka_unit_test(fuzzy),
        cmocka_unit_test(search_errors),
        cmocka_unit_test(fetch),
        cmocka_unit_test(fetch_sections),
        cmocka_unit_test(fetch_errors),
        cmocka_unit_test(store),
        cmocka_unit_test(limits),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(truncated),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
