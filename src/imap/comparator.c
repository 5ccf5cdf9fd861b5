/* imap/comparator.c: COMPARATOR (RFC 5255 section 4): how SEARCH, SORT and THREAD compare text.
 *
 * There is one comparator, i;unicode-casemap (RFC 5051), the default: needles (message/textmatch.h)
 * and sort keys are made by it. What a client can choose is the direction in which SORT orders text
 * by it (RFC 4790 section 3.4). */
#include "imap/commands.h"

static const char *const name = "i;unicode-casemap";

enum { ORDER_MAX = 255 };

/* collation-order of RFC 4790 section 3: a direction, then a name with "*" for any characters. */
static bool order_valid(struct span order)
{
    if (order.n && (order.p[0] == '+' || order.p[0] == '-'))
        order = span_skip(order, 1);
    if (order.n == 0 || order.n >= ORDER_MAX)
        return false;
    if (order.p[0] != '*' && !ascii_is_alpha((unsigned char)order.p[0]))
        return false;
    for (size_t i = 0; i < order.n; i++) {
        unsigned char c = (unsigned char)order.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && (c == '\0' || !strchr("-;=.*", c)))
            return false;
        if (c == '*' && i > 0 && order.p[i - 1] == '*')
            return false;
    }
    return true;
}

/* Each "*" takes as little as it can; if the rest does not fit, the last one takes more. */
static bool matches(struct span pattern, struct span text)
{
    size_t p = 0, i = 0, star = SPAN_NPOS, from = 0;
    while (i < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = i;
        } else if (p < pattern.n && ascii_lower((unsigned char)pattern.p[p]) ==
                                        ascii_lower((unsigned char)text.p[i])) {
            p++;
            i++;
        } else if (star != SPAN_NPOS) {
            p = star + 1;
            i = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

/* The first that matches wins. */
static bool choose(struct session *s, const struct cmd_comparator *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        struct span order = a->orders[i];
        bool inverted = order.p[0] == '-';
        bool signed_ = inverted || order.p[0] == '+';
        if (span_ieq(order, SPAN("default")) ||
            matches(signed_ ? span_skip(order, 1) : order, span_str(name))) {
            s->comparator_inverted = inverted;
            return true;
        }
    }
    return false;
}

enum step cmd_comparator(struct task *t)
{
    struct session *s = t->session;
    const struct cmd_comparator *a = &t->command->comparator;
    for (unsigned i = 0; i < a->n; i++)
        if (!order_valid(a->orders[i]))
            return task_bad(t, "That is not a comparator");
    if (a->n && !choose(s, a))
        return task_no(t, "BADCOMPARATOR", "There is no such comparator");
    /* Section 4.8: one at most can match, so there is no list of them. */
    respond_text(s, "* COMPARATOR %s%s", s->comparator_inverted ? "-" : "", name);
    return task_ok(t, NULL, "COMPARATOR completed");
}

const struct sort_criterion *comparator_criteria(struct task *t)
{
    const struct cmd_search *a = &t->command->search;
    if (!t->session->comparator_inverted)
        return a->sort;
    struct sort_criterion *v = arena_array(&t->arena, a->n_sort, sizeof(*v));
    for (unsigned i = 0; v && i < a->n_sort; i++) {
        bool text = a->sort[i].key != SORT_ARRIVAL && a->sort[i].key != SORT_DATE &&
                    a->sort[i].key != SORT_SIZE && a->sort[i].key != SORT_RELEVANCY;
        v[i] = a->sort[i];
        v[i].inverted = text;
    }
    return v;
}
