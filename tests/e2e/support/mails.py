"""Messages of our own writing, with what a server has to say about them."""

SIMPLE = (b'Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n'
          b'From: Fred Foobar <foobar@Blurdybloop.example>\r\n'
          b'Subject: afternoon meeting\r\n'
          b'To: mooch@owatagu.siam.edu.example\r\n'
          b'Message-Id: <B27397-0100000@Blurdybloop.example>\r\n'
          b'MIME-Version: 1.0\r\n'
          b'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n'
          b'\r\n'
          b'Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n'
          b'\r\n')

ADDRESSES = (b'From: "Joe Q. Public" <john.q.public@example.com>\r\n'
             b'Sender: secretary@example.com\r\n'
             b'Reply-To: "Mary Smith: Personal" <smith@home.example>, boss@nil.test\r\n'
             b'To: A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;, x@y.test\r\n'
             b'Cc: Undisclosed recipients:;\r\n'
             b'Bcc: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\n'
             b'Date: Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330\r\n'
             b'In-Reply-To: <1@example.org> <2@example.org>\r\n'
             b'Message-ID: <testabcd.1234@silly.test>\r\n'
             b'Subject: a folded\r\n subject\r\n'
             b'\r\n'
             b'Testing.\r\n')

INNER = (b'From: inner@example.org\r\n'
         b'Subject: inner message\r\n'
         b'MIME-Version: 1.0\r\n'
         b'Content-Type: multipart/alternative; boundary=inner\r\n'
         b'\r\n'
         b'--inner\r\n'
         b'Content-Type: text/plain; charset=utf-8\r\n'
         b'Content-Transfer-Encoding: quoted-printable\r\n'
         b'\r\n'
         b'inner pl=C3=A4in\r\n'
         b'--inner\r\n'
         b'Content-Type: text/html\r\n'
         b'\r\n'
         b'<p>inner html</p>\r\n'
         b'--inner--\r\n')

PART1 = b'first part\r\nsecond line'
PART2 = b'iVBORw0KGgoAAAANSUhEUgAB\r\nAgMEBQ=='
PART2_DECODED = bytes.fromhex('89504e470d0a1a0a0000000d49484452000102030405')
HEAD = (b'From: outer@example.org\r\n'
        b'To: someone@example.org\r\n'
        b'Subject: outer\r\n'
        b'MIME-Version: 1.0\r\n'
        b'Content-Type: multipart/mixed; boundary="outer limit"\r\n'
        b'\r\n')
PREAMBLE = b'A preamble.\r\n'
MIME1 = b'Content-Type: text/plain; charset="us-ascii"; format=flowed\r\nContent-ID: <p1@example.org>\r\n\r\n'
MIME2 = (b'Content-Type: image/png; name=dot.png\r\n'
         b'Content-Transfer-Encoding: BASE64\r\n'
         b'Content-Disposition: attachment; filename=dot.png\r\n'
         b'Content-Description: a dot\r\n'
         b'Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n'
         b'Content-Language: en, de\r\n'
         b'Content-Location: http://example.org/dot.png\r\n'
         b'\r\n')
MIME3 = b'Content-Type: message/rfc822\r\n\r\n'
MIXED = (HEAD + PREAMBLE +
         b'--outer limit\r\n' + MIME1 + PART1 +
         b'\r\n--outer limit\r\n' + MIME2 + PART2 +
         b'\r\n--outer limit\r\n' + MIME3 + INNER +
         b'\r\n--outer limit--\r\nAn epilogue.\r\n')


def numbered(i, size=200, **headers):
    """A plain message number i."""
    head = {'From': 'sender%d@example.org' % (i % 7), 'To': 'rcpt@example.org', 'Subject': 'message %d' % i,
            'Message-ID': '<%d@example.org>' % i,
            'Date': 'Mon, %d Jan 2020 12:00:00 +0000' % (1 + i % 28)}
    head.update(headers)
    text = ''.join('%s: %s\r\n' % kv for kv in head.items()) + '\r\n'
    body = ('line of message %d\r\n' % i) * max(1, size // 20)
    return (text + body).encode()
