"""THREAD (RFC 5256): ORDEREDSUBJECT, REFERENCES; REFS (draft-ietf-morg-inthread). Answers are compared with a
small implementation that follows the text of section 3 step by step."""
import random
import re
import time

import pytest

from support.imap import SLOW, LitPlus

BASE = 978307200  # 2001-01-01


class Mail:
    def __init__(self, number, subject='', mid=None, refs=(), date=None, arrived=None, in_reply_to=None):
        self.number, self.subject, self.mid, self.refs = number, subject, mid, list(refs)
        self.arrived = number if arrived is None else arrived
        self.date = number if date is None else date
        self.in_reply_to = in_reply_to

    def text(self):
        lines = ['From: a@x', 'Subject: ' + self.subject,
                 'Date: ' + time.strftime('%d %b %Y %H:%M:%S +0000', time.gmtime(BASE + self.date))]
        if self.mid:
            lines.append('Message-ID: <%s>' % self.mid)
        if self.refs:
            lines.append('References: ' + '\r\n '.join('<%s>' % r for r in self.refs))
        if self.in_reply_to:
            lines.append('In-Reply-To: ' + self.in_reply_to)
        return '\r\n'.join(lines) + '\r\n\r\nx\r\n'

    def stamp(self):
        return time.strftime('"%d-%b-%Y %H:%M:%S +0000"', time.gmtime(BASE + self.arrived))


def fill(c, mails):
    """One MULTIAPPEND."""
    parts = ['APPEND INBOX']
    for m in mails:
        parts += [' ' + m.stamp() + ' ', LitPlus(m.text())]
    parts[0] += parts.pop(1)
    c.ok(*parts)
    c.noop()


def thread(c, algorithm, keys='ALL', uid=False):
    r = c.ok('%sTHREAD %s UTF-8 %s' % ('UID ' if uid else '', algorithm, keys))
    lines = [x.raw for x in r.untagged if x.raw.startswith(b'* THREAD')]
    assert len(lines) == 1
    return lines[0].decode().strip()


# --- the reference ---

class Node:
    def __init__(self, mail=None):
        self.mail, self.parent, self.children = mail, None, []

    def detach(self):
        if self.parent:
            self.parent.children.remove(self)
        self.parent = None

    def adopt(self, child):
        child.detach()
        child.parent = self
        self.children.append(child)

    def key(self):
        m = self.mail or min(self.children, key=Node.key).mail
        return m.date, m.number

    def subject(self):
        m = self.mail or min(self.children, key=Node.key).mail
        return base(m.subject)

    def everyone(self):
        return ([self.mail] if self.mail else []) + [m for c in self.children for m in c.everyone()]


def base(subject):
    while re.match(r're:', subject, re.I):
        subject = subject[3:].strip()
    return subject.lower()


def is_reply(node):
    return bool(node.mail) and node.mail.subject.lower().startswith('re:')


def below(node, other):
    while other:
        if other is node:
            return True
        other = other.parent
    return False


def link(mails):
    table, root = {}, []
    for m in mails:
        if m.mid and m.mid in table and table[m.mid].mail is None:
            node = table[m.mid]
            node.mail = m
        else:
            node = Node(m)
            if m.mid and m.mid not in table:
                table[m.mid] = node
        root.append(node)
        previous = None
        for r in m.refs:
            if r not in table:
                table[r] = Node()
                root.append(table[r])
            this = table[r]
            if previous and not this.parent and not below(this, previous):
                previous.adopt(this)
            previous = this
        node.detach()
        if previous and not below(node, previous):
            previous.adopt(node)
    top = Node()
    seen = set()
    for n in root:
        if n.parent is None and id(n) not in seen:
            seen.add(id(n))
            top.children.append(n)
    return top


def prune(node, at_root):
    kept = []
    for c in node.children:
        prune(c, False)
        if c.mail is None and (not c.children or not at_root or len(c.children) == 1):
            for g in c.children:
                g.parent = node
            kept += c.children
        else:
            kept.append(c)
    node.children = kept


def merge(top):
    table = {}
    for n in top.children:
        s = n.subject()
        if not s:
            continue
        there = table.get(s)
        if not there or (there.mail and (not n.mail or (is_reply(there) and not is_reply(n)))):
            table[s] = n
    for n in list(top.children):
        n.parent = None
    kept = list(top.children)
    for n in list(top.children):
        s = n.subject()
        if not s or table[s] is n:
            continue
        there = table[s]
        kept.remove(n)
        if not n.mail and not there.mail:
            for c in list(n.children):
                there.adopt(c)
        elif not there.mail or (is_reply(n) and not is_reply(there)):
            there.adopt(n)
        else:
            dummy = Node()
            kept[kept.index(there)] = dummy
            dummy.adopt(there)
            dummy.adopt(n)
            table[s] = dummy
    top.children = kept


def sort(node):
    for c in node.children:
        sort(c)
    node.children.sort(key=Node.key)


def write(node):
    out = str(node.mail.number) if node.mail else ''
    if len(node.children) == 1:
        return out + ' ' + write(node.children[0])
    if node.children:
        out += (' ' if out else '') + ''.join('(%s)' % write(c) for c in node.children)
    return out


def reference(algorithm, mails):
    if algorithm == 'ORDEREDSUBJECT':
        top, table = Node(), {}
        for m in sorted(mails, key=lambda m: (m.date, m.number)):
            s = base(m.subject)
            if s in table:
                table[s].adopt(Node(m))
            else:
                table[s] = Node(m)
                top.children.append(table[s])
    else:
        top = link(mails)
        prune(top, True)
        top.children.sort(key=Node.key)
        if algorithm == 'REFERENCES':
            merge(top)
        sort(top)
        if algorithm == 'REFS':
            top.children.sort(key=lambda n: (max(m.arrived for m in n.everyone())))
    return '* THREAD' + (' ' if top.children else '') + ''.join('(%s)' % write(c) for c in top.children)


# --- tests ---

ALGORITHMS = ('ORDEREDSUBJECT', 'REFERENCES', 'REFS')


def check(c, mails):
    for a in ALGORITHMS:
        assert thread(c, a) == reference(a, mails), a


def test_capabilities(c):
    assert {'THREAD=' + a for a in ALGORITHMS} <= set(c.ok('CAPABILITY').one('CAPABILITY').data)


def test_nothing(inbox):
    """Section 4: "* THREAD" alone (example A284)."""
    for a in ALGORITHMS:
        assert thread(inbox, a, 'TEXT "gewp"') == '* THREAD'


def test_ordered_subject(inbox):
    """Section 3: no grandchildren; threads by the date of their first message."""
    mails = [Mail(1, 'b', date=50), Mail(2, 'a', date=60), Mail(3, 'Re: b', date=70), Mail(4, 're: B', date=65),
             Mail(5, 'Re: a', date=80), Mail(6, 'c', date=1)]
    fill(inbox, mails)
    assert thread(inbox, 'ORDEREDSUBJECT') == '* THREAD (6)(1 (4)(3))(2 5)'
    assert thread(inbox, 'orderedsubject', 'SUBJECT b') == '* THREAD (1 (4)(3))'
    check(inbox, mails)


def test_references(inbox):
    """A chain with a branch; a missing message that holds two together (section 4: "((3)(5))")."""
    mails = [Mail(1, 'q', 'a@x'), Mail(2, 'Re: q', 'b@x', ['a@x']), Mail(3, 'Re: q', 'c@x', ['a@x', 'b@x']),
             Mail(4, 'Re: q', 'd@x', ['a@x']), Mail(5, 'one', 'e@x', ['gone@x']), Mail(6, 'two', 'f@x', ['gone@x']),
             Mail(7, 'three', 'g@x', ['gone2@x', 'gone3@x'])]
    fill(inbox, mails)
    assert thread(inbox, 'REFERENCES') == '* THREAD (1 (2 3)(4))((5)(6))(7)'
    assert thread(inbox, 'REFERENCES', '2:3') == '* THREAD (2 3)'
    check(inbox, mails)


def test_in_reply_to_and_quotes(inbox):
    """Section 3: the first Message-ID of In-Reply-To, only without References; quoted forms are the same."""
    mails = [Mail(1, 'a', '"01KF8JCEOCBS0045PS"@xxx.yyy.com'),
             Mail(2, 'b', 'r@x', in_reply_to='Your message of today <01KF8JCEOCBS0045PS@xxx.yyy.com> <joe@x>'),
             Mail(3, 'c', 's@x', ['r@x'], in_reply_to='<"01KF8JCEOCBS0045PS"@xxx.yyy.com>'),
             Mail(4, 'd', 't@x', ['R@x'])]
    fill(inbox, mails)
    assert thread(inbox, 'REFERENCES') == '* THREAD (1 2 3)(4)'


def test_subjects_are_merged(inbox):
    """Step 5: a reply goes below the message, two messages below a dummy; not for REFS."""
    mails = [Mail(1, 'Re: talk', 'a@x'), Mail(2, 'talk', 'b@x'), Mail(3, 'same', 'c@x'), Mail(4, 'same', 'd@x'),
             Mail(5, '', 'e@x'), Mail(6, '', 'f@x')]
    fill(inbox, mails)
    assert thread(inbox, 'REFERENCES') == '* THREAD (2 1)((3)(4))(5)(6)'
    assert thread(inbox, 'REFS') == '* THREAD (1)(2)(3)(4)(5)(6)'
    check(inbox, mails)


def test_refs_order(inbox):
    """The newest INTERNALDATE of a thread, wherever in it."""
    mails = [Mail(1, 'a', 'a@x', arrived=10), Mail(2, 'b', 'b@x', arrived=20), Mail(3, 'c', 'c@x', ['a@x'], arrived=30)]
    fill(inbox, mails)
    assert thread(inbox, 'REFS') == '* THREAD (2)(1 3)'
    assert thread(inbox, 'REFERENCES') == '* THREAD (1 3)(2)'


def test_loops(inbox):
    """Step 1: no loops, whatever References say."""
    mails = [Mail(1, 'a', 'a@x', ['b@x']), Mail(2, 'b', 'b@x', ['a@x']), Mail(3, 'c', 'c@x', ['c@x']),
             Mail(4, 'd', 'd@x', ['e@x', 'f@x', 'd@x']), Mail(5, 'e', 'e@x', ['d@x', 'f@x']),
             Mail(6, 'f', 'f@x', ['f@x', 'e@x', 'f@x']), Mail(7, 'g', 'a@x', ['c@x']), Mail(8, 'h', None, ['a@x'])]
    fill(inbox, mails)
    check(inbox, mails)


@pytest.mark.parametrize('seed', range(100))
def test_random(inbox, seed):
    r = random.Random(seed)
    ids = ['%d@x' % i for i in range(r.choice((4, 12, 40)))]
    mails = []
    for i in range(1, r.choice((5, 20, 60)) + 1):
        refs = [r.choice(ids) for _ in range(r.choice((0, 1, 1, 2, 3, 6)))]
        subject = r.choice(('', 'Re: ', 'Re: re: ')) + r.choice(('', 'a', 'b', 'C', 'd', 'e', 'f'))
        mails.append(Mail(i, subject, r.choice([None] + ids * 2), refs, r.randrange(30), r.randrange(10 ** 6)))
    fill(inbox, mails)
    check(inbox, mails)


def test_deep(inbox):
    """A thread as deep as the mailbox, in both directions; nothing recurses."""
    n = 3000
    forward = [Mail(i, 's%d' % i, '%d@x' % i, ['%d@x' % (i - 1)]) for i in range(1, n + 1)]
    for at in range(0, n, 500):
        fill(inbox, forward[at:at + 500])
    assert thread(inbox, 'REFERENCES') == '* THREAD (%s)' % ' '.join(str(i) for i in range(1, n + 1))
    assert thread(inbox, 'REFS', '%d:%d' % (n - 2, n)) == '* THREAD (%d %d %d)' % (n - 2, n - 1, n)
    inbox.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
    inbox.ok('EXPUNGE')
    backward = [Mail(i, 's%d' % i, '%d@x' % i, ['%d@x' % (i + 1)], date=n - i) for i in range(1, n + 1)]
    for at in range(0, n, 500):
        fill(inbox, backward[at:at + 500])
    assert thread(inbox, 'REFERENCES') == '* THREAD (%s)' % ' '.join(str(i) for i in range(n, 0, -1))


def test_comb(inbox):
    """At each level a message without replies: all levels end at once."""
    n = 200
    mails = []
    for i in range(n):
        mails.append(Mail(2 * i + 1, 's', 'a%d@x' % i, ['a%d@x' % (i - 1)] if i else []))
        mails.append(Mail(2 * i + 2, 's', 'b%d@x' % i, ['a%d@x' % i], date=2 * i + 9 if i < n - 1 else None))
    for at in range(0, 2 * n, 500):
        fill(inbox, mails[at:at + 500])
    assert thread(inbox, 'REFERENCES').count(')') == thread(inbox, 'REFERENCES').count('(') > n
    assert thread(inbox, 'REFERENCES') == reference('REFERENCES', mails)


@pytest.mark.martlet('processor time')
def test_hostile_references(server, inbox):
    """Of a chain of 30,000 messages that nobody has seen the last one is said to be the parent of the first, 15,000
    times: each is a loop, and to find that out must not cost a walk along the chain."""
    names = ['%05d@x' % i for i in range(30 * 999 + 1)]
    fill(inbox, [Mail(i + 1, 'chain', None, names[999 * i:999 * i + 1000]) for i in range(30)])
    fill(inbox, [Mail(31 + i, 'loop', None, [names[-1], names[0]] * 500) for i in range(30)])
    before = server.cpu()
    assert thread(inbox, 'REFERENCES').startswith('* THREAD ')
    assert server.cpu() - before < 0.4 * SLOW


def test_uid(inbox):
    fill(inbox, [Mail(1, 'x', 'z@x'), Mail(2, 'a', 'a@x'), Mail(3, 'b', 'b@x', ['a@x'])])
    inbox.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    inbox.ok('EXPUNGE')
    assert thread(inbox, 'REFERENCES') == '* THREAD (1 2)'
    uids = [int(u) for u in inbox.ok('UID SEARCH ALL').one('SEARCH').data]
    assert thread(inbox, 'REFERENCES', uid=True) == '* THREAD (%d %d)' % tuple(uids)


def test_refused(inbox):
    inbox.bad('THREAD FOO UTF-8 ALL')
    inbox.bad('THREAD REFERENCES ALL')
    inbox.bad('THREAD REFERENCES')
    inbox.no('THREAD REFERENCES X-NOWHERE SUBJECT x')
