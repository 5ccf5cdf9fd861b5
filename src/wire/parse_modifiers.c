/* wire/parse_modifiers.c: what extensions put into parentheses behind the arguments of SELECT,
 * FETCH and STORE (RFC 4466 sections 2.1, 2.4, 2.5; RFC 7162 section 7). */
#include "wire/parse_int.h"

/* Behind a name: SP and its number. Mod-sequences are 63-bit (RFC 7162 section 7). */
static int parse_modseq(struct parse *p, const char *after, bool zero_allowed, uint64_t *ret)
{
    uint64_t v;
    p->after = after;
    int rc = parse_sp(p, "a mod-sequence");
    if (rc == 0)
        rc = parse_number64(p, "a mod-sequence", &v);
    if (rc)
        return rc;
    if (v > INT64_MAX || (v == 0 && !zero_allowed))
        return parse_fail(p, ERR_INVALID, "that is not a mod-sequence");
    *ret = v;
    return 0;
}

/* A set as clients know it: without "*" and "$". */
static int parse_known_set(struct parse *p, struct seqset *ret)
{
    int rc = parse_set(p, ret);
    if (rc == 0 && (ret->star || ret->saved))
        rc = parse_fail(p, ERR_INVALID, "only numbers are allowed in a set of QRESYNC");
    p->after = "the set";
    return rc;
}

/* SP "(" known-sequence-set SP known-uid-set ")" */
static int parse_match(struct parse *p, struct cmd_select *s)
{
    p->p++; /* the parenthesis has been seen */
    p->after = "\"(\"";
    int rc = parse_known_set(p, &s->match_seqs);
    if (rc == 0)
        rc = parse_sp(p, "a set of UIDs");
    if (rc == 0)
        rc = parse_known_set(p, &s->match_uids);
    if (rc == 0 && seqset_count(&s->match_seqs) != seqset_count(&s->match_uids))
        rc = parse_fail(p, ERR_INVALID, "the two sets of the match data differ in length");
    return rc ? rc : parse_byte(p, ')', "\")\"");
}

/* Behind QRESYNC: SP "(" uidvalidity SP mod-sequence [SP known-uids] [SP seq-match-data] ")" */
static int parse_qresync(struct parse *p, struct cmd_select *s)
{
    uint64_t uidvalidity;
    p->after = "QRESYNC";
    int rc = parse_sp(p, "its arguments");
    if (rc == 0)
        rc = parse_byte(p, '(', "its arguments");
    if (rc == 0)
        rc = parse_number64(p, "a UIDVALIDITY", &uidvalidity);
    if (rc == 0 && (uidvalidity == 0 || uidvalidity > UINT32_MAX))
        rc = parse_fail(p, ERR_INVALID, "that is not a UIDVALIDITY");
    if (rc == 0)
        rc = parse_modseq(p, "the UIDVALIDITY", false, &s->modseq);
    if (rc)
        return rc;
    s->qresync = true;
    s->uidvalidity = (uint32_t)uidvalidity;
    p->after = "the mod-sequence";
    if (parse_take(p, ' ') && !parse_looking_at(p, '(')) {
        s->has_known = true;
        rc = parse_known_set(p, &s->known);
        if (rc)
            return rc;
        parse_take(p, ' ');
    }
    if (parse_looking_at(p, '('))
        rc = parse_match(p, s);
    return rc ? rc : parse_byte(p, ')', "\")\"");
}

int parse_select(struct parse *p, struct command *c)
{
    struct cmd_select *s = &c->select;
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_mailbox(p, &s->name);
    if (rc)
        return rc;
    p->after = "the mailbox name";
    if (p->end - p->p < 2 || p->p[0] != ' ' || p->p[1] != '(')
        return 0;
    p->p += 2;
    do {
        struct span name;
        p->after = "the SELECT parameters";
        rc = parse_atom(p, "CONDSTORE or QRESYNC", &name);
        if (rc)
            return rc;
        if (span_ieq(name, SPAN("CONDSTORE")))
            s->condstore = true;
        else if (span_ieq(name, SPAN("QRESYNC")) && !s->qresync)
            rc = parse_qresync(p, s);
        else
            rc = parse_fail(p, ERR_INVALID, "unknown SELECT parameter \"%s\"",
                            parse_excerpt(name).text);
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    return parse_byte(p, ')', "\")\"");
}

/* [SP "(" CHANGEDSINCE SP mod-sequence [SP VANISHED] ")"], in any order; also PARTIAL SP range (RFC
 * 9394 section 4) */
int parse_fetch_modifiers(struct parse *p, struct command *c)
{
    struct cmd_fetch *f = &c->fetch;
    int rc;
    if (p->end - p->p < 2 || p->p[0] != ' ' || p->p[1] != '(')
        return 0;
    p->p += 2;
    do {
        struct span name;
        p->after = "the FETCH modifiers";
        rc = parse_atom(p, "CHANGEDSINCE", &name);
        if (rc)
            return rc;
        if (span_ieq(name, SPAN("CHANGEDSINCE")) && !f->has_since) {
            f->has_since = true;
            f->atts |= FETCH_MODSEQ; /* RFC 7162 section 3.1.4.1 */
            rc = parse_modseq(p, "CHANGEDSINCE", true, &f->since);
        } else if (span_ieq(name, SPAN("VANISHED"))) {
            f->vanished = true;
        } else if (span_ieq(name, SPAN("PARTIAL")) && !f->partial.first) {
            p->after = "PARTIAL";
            rc = parse_sp(p, "a range like 1:100");
            if (rc == 0)
                rc = parse_partial_range(p, &f->partial);
        } else {
            rc = parse_fail(p, ERR_INVALID, "unknown FETCH modifier \"%s\"",
                            parse_excerpt(name).text);
        }
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    if (f->vanished && (!c->uid || !f->has_since)) /* section 3.2.6 */
        return parse_fail(p, ERR_INVALID, "VANISHED goes with UID FETCH and CHANGEDSINCE only");
    if (f->partial.first && !c->uid)
        return parse_fail(p, ERR_INVALID, "PARTIAL goes with UID FETCH only");
    return parse_byte(p, ')', "\")\"");
}

/* ["(" UNCHANGEDSINCE SP mod-sequence ")" SP], behind the space that follows the set */
int parse_store_modifiers(struct parse *p, struct cmd_store *s)
{
    struct span name;
    s->unchanged_since = UINT64_MAX;
    if (!parse_take(p, '('))
        return 0;
    p->after = "the STORE modifiers";
    int rc = parse_atom(p, "UNCHANGEDSINCE", &name);
    if (rc)
        return rc;
    if (!span_ieq(name, SPAN("UNCHANGEDSINCE")))
        return parse_fail(p, ERR_INVALID, "unknown STORE modifier \"%s\"",
                          parse_excerpt(name).text);
    s->conditional = true;
    rc = parse_modseq(p, "UNCHANGEDSINCE", true, &s->unchanged_since);
    if (rc == 0)
        rc = parse_byte(p, ')', "\")\"");
    p->after = "the STORE modifiers";
    return rc ? rc : parse_sp(p, "FLAGS, +FLAGS or -FLAGS");
}

/* Behind the search key MODSEQ: SP [entry-name SP entry-type SP] mod-sequence. One mod-sequence
 * serves all of a message's metadata, so the entry is ignored (section 3.1.5). */
int parse_search_modseq(struct parse *p, uint64_t *ret)
{
    struct span entry, type;
    int rc;
    if (parse_looking_at(p, '"')) {
        rc = parse_string(p, "an entry name", &entry);
        p->after = "the entry name";
        if (rc == 0)
            rc = parse_sp(p, "priv, shared or all");
        if (rc == 0)
            rc = parse_atom(p, "priv, shared or all", &type);
        if (rc)
            return rc;
        if (!span_istarts(entry, SPAN("/flags/")) || entry.n == SPAN("/flags/").n)
            return parse_fail(p, ERR_INVALID, "an entry name looks like \"/flags/\\\\Seen\"");
        if (!span_ieq(type, SPAN("priv")) && !span_ieq(type, SPAN("shared")) &&
            !span_ieq(type, SPAN("all")))
            return parse_fail(p, ERR_INVALID, "expected priv, shared or all, found \"%s\"",
                              parse_excerpt(type).text);
        p->after = "the entry type";
        if ((rc = parse_sp(p, "a mod-sequence")) != 0)
            return rc;
    }
    rc = parse_number64(p, "a mod-sequence", ret);
    if (rc == 0 && *ret > INT64_MAX)
        rc = parse_fail(p, ERR_INVALID, "that is not a mod-sequence");
    return rc;
}
