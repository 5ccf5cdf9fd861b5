"""The corpus: the same messages, byte for byte, in every run and for every server.

55 % plain text, 30 % multipart/alternative, 15 % with base64 attachments; mean about 10.9 KB; all lines end in CRLF.
Headers are what mail of today carries: Received lines, a DKIM signature, threads by References, encoded words.

A corpus is three files in one directory:
  messages.bin   the messages, one after another
  messages.idx   an entry a message: offset, length, INTERNALDATE (three little-endian 64-bit numbers)
  corpus.json    what a server's answers must add up to (struct of facts below)

Only random.Random.random() and getrandbits() are used: their sequences are the same in every version of Python
(folding of encoded words is email.header's, which has long been stable).
"""
import base64
import email.header
import email.utils
import json
import math
import os
import quopri
import random
import struct
import zlib

from corpus_words import FILES, PEOPLE, SUBJECTS, WORDS

VERSION = 1
RARE_WORD = "quicksilverfish"     # SEARCH TEXT finds it in one of a thousand messages
ABSENT_WORD = "zxqvwkjhpt"        # SEARCH BODY finds it nowhere
FROM_WORD = "anneliese"           # SEARCH FROM
HEADER_FIELDS = ("From", "To", "Cc", "Subject", "Date", "Message-ID", "References")
START = 1640995200                # 2022-01-01, the INTERNALDATE of the first message
MEAN_TEXT = 2080                  # characters of text in a message
MEAN_ATTACHMENT = 12950           # bytes of one attachment, encoded
ENTRY = struct.Struct("<QQQ")


class Source:
    """Random choices and the pools of prepared text they choose from."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = {}
        for language, words in WORDS.items():
            self.lines[language] = [self._line(words.split()) for _ in range(600)]
        blob = self.random.getrandbits(8 * 57 * 16384).to_bytes(57 * 16384, "little")
        encoded = base64.b64encode(blob).decode("ascii")
        self.base64 = [encoded[i:i + 76] for i in range(0, len(encoded), 76)]

    def _line(self, words):
        line = words[self.below(len(words))].capitalize()
        while len(line) < 60:
            line += " " + words[self.below(len(words))]
        return line + (".", ",", "", "")[self.below(4)]

    def below(self, limit):
        return int(self.random.random() * limit)

    def chance(self, probability):
        return self.random.random() < probability

    def choose(self, items):
        return items[self.below(len(items))]

    def size(self, mean):
        """A length with the long tail of real mail: exponential, not below a fifth of the mean."""
        return int(mean * (0.2 - 0.8 * math.log(1.0 - self.random.random())))

    def text(self, language, mean):
        """Lines of about `mean` characters in all."""
        lines, left, pool = [], self.size(mean), self.lines[language]
        while left > 0:
            line = pool[self.below(len(pool))]
            lines.append("" if self.chance(0.08) else line)
            left -= len(line) + 2
        return lines

    def attachment(self, mean):
        count = max(4, self.size(mean) // 78)
        start = self.below(max(1, len(self.base64) - count))
        return self.base64[start:start + count]


def encode_name(name):
    return name if name.isascii() else email.header.Header(name, "utf-8").encode(maxlinelen=60, linesep="\r\n")


def encode_subject(subject, source):
    if subject.isascii():
        return subject
    charset = "utf-8"
    if source.chance(0.3):
        for charset in ("iso-8859-1", "iso-8859-2", "iso-8859-7", "koi8-r", "iso-2022-jp", "gb2312", "utf-8"):
            try:
                subject.encode(charset)
                break
            except UnicodeEncodeError:
                continue
    return email.header.Header(subject, charset, header_name="Subject").encode(maxlinelen=65, linesep="\r\n")


def address(person):
    name, local, domain = person
    shown = encode_name(name)
    if name.isascii() and not name.replace(" ", "").isalnum():
        shown = '"%s"' % name
    return "%s <%s@%s>" % (shown, local, domain)


def language_of(person):
    name = person[0]
    for language, low, high in (("el", "Ͱ", "Ͽ"), ("ru", "Ѐ", "ӿ"), ("ja", "぀", "鿿")):
        if any(low <= c <= high for c in name):
            return language
    return "de" if "ü" in name or "ö" in name else "fr" if "ë" in name or "ã" in name else "en"


def text_part(lines, source):
    """A text body with the headers it needs: (list of header lines, list of body lines)."""
    text = "\n".join(lines) + "\n"
    if text.isascii():
        return ["Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit"], lines
    if any(c > "\u2fff" for c in text) or source.chance(0.3):
        body = base64.b64encode(text.replace("\n", "\r\n").encode("utf-8")).decode("ascii")
        return (["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"],
                [body[i:i + 76] for i in range(0, len(body), 76)])
    if source.chance(0.3):
        return ['Content-Type: text/plain; charset="UTF-8"', "Content-Transfer-Encoding: 8bit"], lines
    body = quopri.encodestring(text.encode("utf-8")).decode("ascii")
    return (["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"],
            body.rstrip("\n").split("\n"))


def html_part(lines):
    text = "<html><head><meta charset=\"utf-8\"><style>p { margin: 0 0 1em; font-family: sans-serif }</style></head>\n<body>\n"
    text += "\n".join('<p class="paragraph" style="color: #333333">%s</p>' % line for line in lines)
    text += "\n</body></html>\n"
    body = quopri.encodestring(text.encode("utf-8")).decode("ascii")
    return (["Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"],
            body.rstrip("\n").split("\n"))


def alternative(lines, source, boundary):
    plain_headers, plain = text_part(lines, source)
    html_headers, html = html_part(lines)
    body = ["This is a multi-part message in MIME format.", "--" + boundary, *plain_headers, "", *plain,
            "--" + boundary, *html_headers, "", *html, "--" + boundary + "--", ""]
    return ['Content-Type: multipart/alternative;\r\n\tboundary="%s"' % boundary], body


def mixed(lines, source, boundary):
    if source.chance(0.5):
        first_headers, first = alternative(lines, source, boundary + "a")
    else:
        first_headers, first = text_part(lines, source)
    body = ["--" + boundary, *first_headers, "", *first]
    for _ in range(1 + source.below(3)):
        name, kind = source.choose(FILES)
        shown = '"%s"' % name
        disposition = 'Content-Disposition: attachment;\r\n\tfilename="%s"' % name
        if not name.isascii():
            shown = '"%s"' % email.header.Header(name, "utf-8").encode()
            disposition = "Content-Disposition: attachment;\r\n\tfilename*=utf-8''" + "".join(
                "%%%02X" % b if b > 126 else chr(b) for b in name.encode("utf-8"))
        body += ["--" + boundary, "Content-Type: %s;\r\n\tname=%s" % (kind, shown),
                 "Content-Transfer-Encoding: base64", disposition, "", *source.attachment(MEAN_ATTACHMENT)]
    body += ["--" + boundary + "--", ""]
    return ['Content-Type: multipart/mixed;\r\n\tboundary="%s"' % boundary], body


class Thread:
    """What a reply needs to know of the message it answers."""

    def __init__(self, subject, ids):
        self.subject, self.ids = subject, ids


class Writer:
    """Makes messages one after another and adds up the facts of corpus.json."""

    def __init__(self, seed):
        self.source = Source(seed)
        self.recent = []
        self.date = START
        self.facts = {"messages": 0, "bytes": 0, "from_hits": 0, "rare_hits": 0, "header_fields_bytes": 0,
                      "crc32": 0, "plain": 0, "alternative": 0, "attachments": 0}

    def _hops(self, sender, to, date):
        lines, source = [], self.source
        for hop in range(2 + source.below(3)):
            lines.append("Received: from mx%d.%s (mx%d.%s [192.0.2.%d])\r\n\tby relay%d.%s (Postfix) with ESMTPS id %012X\r\n"
                         "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\tfor <%s@%s>; %s"
                         % (hop, sender[2], hop, sender[2], source.below(255), hop, to[2], source.random.getrandbits(48),
                            to[1], to[2], email.utils.formatdate(date + 4 - hop)))
        return lines

    def _signature(self, sender):
        data = self.source.base64
        start = self.source.below(len(data) - 8)
        return ("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=mail2022;\r\n"
                "\th=from:to:cc:subject:date:message-id:references:in-reply-to:mime-version;\r\n"
                "\tbh=%s=;\r\n\tb=%s\r\n\t %s\r\n\t %s\r\n\t %s=="
                % (sender[2], data[start][:43], data[start + 1][:64], *[line[:70] for line in data[start + 2:start + 5]]))

    def _thread(self, message_id):
        """A reply to one of the newest threads, or a new one: (subject, references)."""
        source = self.source
        if self.recent and source.chance(0.6):
            parent = source.choose(self.recent)
            ids, subject = parent.ids, parent.subject
            answer = source.choose(("Re: ", "Re: ", "Re: ", "RE: ", "Fwd: ", "Aw: "))
        else:
            ids, subject, answer = [], source.choose(SUBJECTS), ""
            if source.chance(0.4):
                subject += " (%d)" % source.below(500)
        self.recent.append(Thread(subject, (ids + [message_id])[-12:]))
        if len(self.recent) > 150:
            del self.recent[source.below(100)]
        return answer, subject, ids

    def message(self, number):
        """One message: its bytes. Whether it counts for a search goes into the facts."""
        source, facts = self.source, self.facts
        self.date += 60 + source.below(6000)
        sender, to = source.choose(PEOPLE), source.choose(PEOPLE)
        message_id = "<%016x.%d@%s>" % (source.random.getrandbits(64), number, sender[2])
        answer, subject, ids = self._thread(message_id)
        fields = [("From", address(sender)), ("To", address(to))]
        if source.chance(0.35):
            fields.append(("Cc", ",\r\n\t".join(address(source.choose(PEOPLE)) for _ in range(1 + source.below(4)))))
        fields.append(("Subject", answer + encode_subject(subject, source)))
        zone = source.choose(("+0000", "+0100", "+0200", "-0500", "+0900", "+0530"))
        fields.append(("Date", email.utils.formatdate(self.date).replace("-0000", zone)))
        fields.append(("Message-ID", message_id))
        if ids:
            fields += [("In-Reply-To", ids[-1]), ("References", "\r\n\t".join(ids))]

        language = language_of(sender)
        lines = source.text(language, MEAN_TEXT if language in ("en", "de", "fr") else MEAN_TEXT * 2 // 3)
        rare = source.chance(0.001) or number == 7
        if rare:
            lines.insert(len(lines) // 2, "We saw a %s near the old bridge." % RARE_WORD)
        boundary = "=_%024x" % source.random.getrandbits(96)
        kind = source.random.random()
        if kind < 0.55:
            facts["plain"] += 1
            headers, body = text_part(lines, source)
        elif kind < 0.85:
            facts["alternative"] += 1
            headers, body = alternative(lines, source, boundary)
        else:
            facts["attachments"] += 1
            headers, body = mixed(lines, source, boundary)

        head = ["Return-Path: <%s@%s>" % sender[1:], "Delivered-To: reader@harbour.example"]
        head += self._hops(sender, to, self.date)
        head.append(self._signature(sender))
        rendered = ["%s: %s" % field for field in fields]
        head += rendered
        if source.chance(0.25):
            head += ["List-Id: <list%d.%s>" % (source.below(9), sender[2]), "Precedence: list"]
        head += ["User-Agent: Mail/%d.%d" % (source.below(5), source.below(90)), "MIME-Version: 1.0", *headers]
        data = ("\r\n".join(head) + "\r\n\r\n" + "\r\n".join(body) + "\r\n").encode("utf-8")

        facts["rare_hits"] += rare
        facts["from_hits"] += FROM_WORD in rendered[0].lower()
        facts["header_fields_bytes"] += 2 + sum(len(line) + 2 for line, (name, _) in zip(rendered, fields)
                                                if name in HEADER_FIELDS)
        facts["messages"] += 1
        facts["bytes"] += len(data)
        facts["crc32"] = zlib.crc32(data, facts["crc32"])
        return data


def make(directory, count, seed=20260801, say=lambda text: None):
    """Make the corpus in `directory` unless it is there already; returns its facts."""
    facts_path = os.path.join(directory, "corpus.json")
    key = {"version": VERSION, "seed": seed, "count": count}
    if os.path.exists(facts_path):
        with open(facts_path, encoding="ascii") as file:
            facts = json.load(file)
        if facts.get("key") == key:
            return facts
    say("making the corpus: %d messages" % count)
    os.makedirs(directory, exist_ok=True)
    writer = Writer(seed)
    offset = 0
    with open(os.path.join(directory, "messages.bin"), "wb") as data_file, \
            open(os.path.join(directory, "messages.idx"), "wb") as index_file:
        for number in range(count):
            data = writer.message(number)
            data_file.write(data)
            index_file.write(ENTRY.pack(offset, len(data), writer.date))
            offset += len(data)
    facts = dict(writer.facts, key=key)
    with open(facts_path, "w", encoding="ascii") as file:
        json.dump(facts, file, indent=1)
    return facts
