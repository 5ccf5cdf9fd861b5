"""What is measured apart from the rounds: memory of idle connections, and APPEND by many clients with its syncs."""
import os
import time

import measure
from packages import say
from servers import PASSWORD

MEMORY_PATTERN = "KDKKDDKD"      # which of eight messages stay (K) and which are expunged (D): sparse UIDs


def fill_sparse(target, user, messages):
    """Gives `user` an INBOX of `messages` messages whose UIDs are sparse: eight messages of the corpus, four of them
    \\Deleted, doubled by COPY within the mailbox (COPY keeps flags) until there are twice as many as wanted, EXPUNGE."""
    client, server = target.client, target.server
    client.call(server.open_command(0, "plain", user))
    for number, mark in enumerate(MEMORY_PATTERN):
        client.append("INBOX", number, 1, flags="(\\Deleted)" if mark == "D" else "")
    client.run('SELECT "INBOX"')
    have = len(MEMORY_PATTERN)
    wanted = 2 * max(messages, have // 2)
    while have < wanted:
        step = min(have, wanted - have)
        client.run('COPY 1:%d "INBOX"' % step)
        have += step
    client.run("EXPUNGE")
    left = int(client.run('STATUS "INBOX" (MESSAGES)')["text"].rpartition("MESSAGES ")[2].rstrip(")"))
    target.expect("messages left in a sparse mailbox", left, have // 2)
    client.call("close 0")


def prepare_accounts(target, connections, messages):
    """Accounts idle0, idle1, ... each with the sparse INBOX; returns how it was done, in words."""
    made = target.server.idle_accounts
    if made == 0:
        fill_sparse(target, "idle0", messages)
        made = 1
    names = ["idle%d" % i for i in range(made, connections)]
    start = time.monotonic()
    how = "by IMAP (APPEND, COPY, EXPUNGE)"
    if target.server.clone_account("idle0", names):
        how = "one account by IMAP, the others copies of its index files"
    else:
        for done, name in enumerate(names):
            fill_sparse(target, name, messages)
            if done % 200 == 199:
                say("    %d of %d accounts prepared, %.0f s" % (done + 1, len(names), time.monotonic() - start))
    target.server.idle_accounts = max(made, connections)
    return how


def idle_memory(target, connections, messages, settle):
    """Kilobytes an idle connection costs. The server is started anew after the accounts have been prepared."""
    server = target.server
    say("  %s: %d idle connections, %d messages each (%s)" % (server.title, connections, messages, target.transport))
    how = prepare_accounts(target, connections, messages)
    server.stop()
    server.start()
    target.client.call(server.open_command(0, target.transport, "idle0"))
    target.client.call("close 0")
    time.sleep(min(settle, 3.0))
    before, before_anonymous, _ = measure.pss_kib(server.pids())
    own_before, _, _ = measure.pss_kib([target.client.process.pid])
    available_before = measure.available_kib()
    cpu_before = measure.settled_cpu(server.meter)
    clients = 8
    answer = target.client.call("idle %d %s %d %d idle %s INBOX" % (
        server.port[target.transport], target.transport, connections, clients,
        PASSWORD))
    cpu = measure.settled_cpu(server.meter) - cpu_before
    time.sleep(settle)
    after, after_anonymous, processes = measure.pss_kib(server.pids())
    own_after, _, _ = measure.pss_kib([target.client.process.pid])
    available_after = measure.available_kib()
    target.client.call("drop")
    time.sleep(1.0)
    client_growth = own_after - own_before
    return {"server": server.key, "transport": target.transport, "connections": connections, "messages": messages,
            "prepared": how, "before_kib": before, "after_kib": after, "processes": processes,
            "each_kib": (after - before) / connections,
            "anonymous_each_kib": (after_anonymous - before_anonymous) / connections,
            "available_each_kib": (available_before - available_after - client_growth) / connections,
            "open_wall": answer["wall"], "open_cpu": cpu, "opening_clients": clients, "settle": settle}


def append_throughput(target, clients, accounts, total, serial, count_syncs):
    """APPEND in turn by each of `clients` clients, one account or one each; the sync calls are counted in a second run."""
    client, server = target.client, target.server
    result = {"server": server.key, "transport": target.transport, "clients": clients, "accounts": accounts,
              "messages": total}
    for counting in ((False, True) if count_syncs else (False,)):
        name = "tp%d%s" % (serial, "s" if counting else "")
        for slot in range(clients):
            client.call(server.open_command(slot, target.transport, "%s-%d" % (name, slot if accounts > 1 else 0)))
        if counting:
            counter = measure.SyncCounter(server.pids(), os.path.join(server.directory, "syncs"))
            try:
                client.append("INBOX", 0, total, slots=clients)
            finally:
                calls = counter.stop()
            result["syncs"] = calls
        else:
            before = measure.settled_cpu(server.meter)
            answer = client.append("INBOX", 0, total, slots=clients)
            result.update(cpu=measure.settled_cpu(server.meter) - before, wall=answer["wall"], p50=answer["p50"],
                          p99=answer["p99"], max=answer["max"])
        stored = 0
        for slot in range(accounts):
            text = client.run('STATUS "INBOX" (MESSAGES)', slot=slot)["text"]
            stored += int(text.rpartition("MESSAGES ")[2].rstrip(")"))
        target.expect("messages stored by %d clients" % clients, stored, total)
        for slot in range(clients):
            client.call("close %d" % slot)
    return result


def throughput(targets, options):
    """1, 8 and 64 clients, on one account and on one each; servers in turn."""
    results, serial = [], 0
    for clients in (1, 8, 64):
        for accounts in sorted({1, clients}):
            for target in targets:
                serial += 1
                say("  %s: APPEND by %d clients on %d accounts" % (target.server.title, clients, accounts))
                results.append(append_throughput(target, clients, accounts, options.throughput_messages, serial,
                                                 options.count_syncs))
    return results
