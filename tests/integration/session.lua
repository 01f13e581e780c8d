-- SPDX-License-Identifier: BSD-2-Clause
-- For miltertest: sessions of one client, as a client of the protocol sends them that nobody of this project wrote.
-- Variables: socket, where the filter listens. The delay is 3 s, at RCPT only; the threshold 5.

local function check(what, is_so)
	if not is_so then
		error(what)
	end
end

local function open(address)
	local conn = mt.connect(socket)
	check("connect to the filter", conn ~= nil)
	check("negotiate", mt.negotiate(conn, nil, nil, nil) == nil)
	mt.macro(conn, SMFIC_CONNECT, "j", "mx.example.org", "v", "Postfix 3.7.11", "{client_resolve}", "FAIL")
	check("conninfo", mt.conninfo(conn, "host.example", address) == nil)
	return conn
end

local function mail(conn)
	mt.macro(conn, SMFIC_MAIL, "i", "4F0011")
	check("mail", mt.mailfrom(conn, "<someone@client.example>") == nil)
	check("mail continues", mt.getreply(conn) == SMFIR_CONTINUE)
end

-- One RCPT; how long it took. code: what it is rejected with, or nil.
local function rcpt(conn, address, code)
	if code then
		mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", "error", "{rcpt_host}", code, "{rcpt_addr}", "User unknown")
	else
		mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", "local", "{rcpt_host}", "", "{rcpt_addr}", address)
	end
	local began = os.time()
	check("rcpt " .. address, mt.rcptto(conn, "<" .. address .. ">") == nil)
	check("rcpt continues", mt.getreply(conn) == SMFIR_CONTINUE)
	return os.time() - began
end

-- An exempt client is let go at once.
local conn = open("127.0.0.1")
check("127.0.0.1 is accepted", mt.getreply(conn) == SMFIR_ACCEPT)
mt.disconnect(conn)

-- An honest one gets through, and is accepted at its message's end, or at DATA if the message earns it nothing.
conn = open("203.0.113.1")
check("connect continues", mt.getreply(conn) == SMFIR_CONTINUE)
check("rejected recipients are asked for", mt.test_option(conn, SMFIP_RCPT_REJ))
check("no bodies", mt.test_option(conn, SMFIP_NOBODY))
mail(conn)
check("nobody waits", rcpt(conn, "known@example.org") < 2)
check("data", mt.data(conn) == nil)
check("data continues", mt.getreply(conn) == SMFIR_CONTINUE)
check("end of message", mt.eom(conn) == nil)
check("the message is accepted", mt.getreply(conn) == SMFIR_ACCEPT)
mail(conn)
check("nobody waits", rcpt(conn, "postmaster@example.org") < 2)
check("data", mt.data(conn) == nil)
check("data is accepted", mt.getreply(conn) == SMFIR_ACCEPT)
mt.disconnect(conn)

-- A harvester waits from its fifth unknown recipient on.
conn = open("192.0.2.1")
check("connect continues", mt.getreply(conn) == SMFIR_CONTINUE)
mail(conn)
for number = 1, 4 do
	check("no wait yet", rcpt(conn, "nobody" .. number .. "@example.org", "5.1.1") < 2)
end
check("waits", rcpt(conn, "nobody5@example.org", "5.1.1") >= 2)
check("waits for known ones too", rcpt(conn, "known@example.org") >= 2)
mt.disconnect(conn)
mt.echo("all is well")
