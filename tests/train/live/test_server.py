import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request

import pytest

from chainrule.train.live import Server
from tests.train.live.runs import write_long_run


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_long_run(folder, 10)
    with Server(folder) as running:
        yield running


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


class TestAccess:
    def test_the_token_lets_in(self, server):
        answer, body = ask(server, f"/{server.token}/summary")
        assert answer.status == 200
        assert json.loads(body)["step"] == 10

    @pytest.mark.parametrize(
        "path",
        ["/", "/summary", "//summary", "/wrong/summary", "/{token}x/summary", "/{half}/", "/%00/",
         "/wrong/../{token}/summary", "/?{token}", "/%FC/"],
    )  # fmt: skip
    def test_nothing_else_does(self, server, path):
        path = path.format(token=server.token, half=server.token[:-1])
        answer, body = ask(server, path)
        assert answer.status == 403
        assert "step" not in body

    def test_tokens_are_long_and_differ(self, tmp_path):
        tokens = set()
        for name in "ab":
            with Server(tmp_path / name) as server:
                tokens.add(server.token)
                assert len(server.token) >= 32  # 192 bits
        assert len(tokens) == 2

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "", "[::1]"])
    def test_under_another_name_nothing_is_told(self, server, host):
        answer, _ = ask(server, f"/{server.token}/summary", Host=host)
        assert answer.status == 403

    def test_its_own_names(self, server):
        for host in ("127.0.0.1", "localhost"):
            answer, _ = ask(server, f"/{server.token}/", Host=f"{host}:{server.port}")
            assert answer.status == 200

    def test_only_this_machine_reaches_it(self, server):
        assert server._http.server_address[0] == "127.0.0.1"

    def test_it_only_reads(self, server):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert ask(server, f"/{server.token}/summary", method)[0].status == 501


class TestAnswers:
    def test_every_answer_forbids_what_is_not_its_own(self, server):
        for path in (f"/{server.token}/", f"/{server.token}/view.js", "/"):
            headers = ask(server, path)[0].headers
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
            assert "unsafe" not in policy
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert "Access-Control-Allow-Origin" not in headers

    @pytest.mark.parametrize(
        "path",
        ["/nothing", "/../events.jsonl", "/events.jsonl", "/view/address.json", "/dom.js", ""],
    )
    def test_files_of_the_disk_are_not_served(self, server, path):
        assert ask(server, f"/{server.token}{path}")[0].status == 404

    @pytest.mark.parametrize("query", ["start=x", "start=-9", f"start={10**30}"])
    def test_questions_that_make_no_sense(self, server, query):
        assert ask(server, f"/{server.token}/curves?{query}")[0].status == 400

    def test_histograms_of_a_parameter_that_is_not_there(self, server):
        answer, body = ask(server, f"/{server.token}/histograms?parameter=7")
        assert answer.status == 200
        assert json.loads(body)["records"] == []

    def test_a_damaged_record_is_told(self, tmp_path):
        write_long_run(tmp_path, 3)
        (tmp_path / "view").mkdir()
        line = '{"event": "histograms", "step": 1, "weights": null}\n'
        (tmp_path / "view" / "histograms.jsonl").write_text(line)
        (tmp_path / "view" / "predictions.json").write_text("{")
        with Server(tmp_path) as server:
            answer, body = ask(server, f"/{server.token}/histograms?parameter=0")
            assert (answer.status, "cannot be read" in body) == (500, True)
            assert ask(server, f"/{server.token}/predictions")[0].status == 400
            assert ask(server, f"/{server.token}/summary")[0].status == 200

    def again(self, connection, server):
        connection.request("GET", f"/{server.token}/summary")
        return connection.getresponse()

    def test_a_page_that_goes_away_is_no_news(self, server, capfd):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"GET /x")
        assert ask(server, f"/{server.token}/summary")[0].status == 200
        assert capfd.readouterr() == ("", "")

    def test_a_closed_server_answers_no_more_on_any_connection(self, tmp_path):
        with Server(tmp_path) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            connection.request("GET", f"/{server.token}/summary")
            assert connection.getresponse().read()
        with pytest.raises((http.client.HTTPException, OSError)):
            self.again(connection, server)
        connection.close()


class TestAddress:
    def test_it_is_kept_for_the_next_time(self, tmp_path):
        with Server(tmp_path) as first:
            url = first.url
        with Server(tmp_path) as second:
            assert second.url == url

    def test_only_the_owner_can_read_it(self, tmp_path):
        with Server(tmp_path):
            mode = (tmp_path / "view" / "address.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600

    def test_one_that_others_can_read_is_not_used_again(self, tmp_path):
        with Server(tmp_path) as first:
            token = first.token
        (tmp_path / "view" / "address.json").chmod(0o644)
        with Server(tmp_path) as second:
            assert second.token != token

    @pytest.mark.parametrize("content", ["", "[]", '{"port": 1}', '{"port": "x", "token": 3}',
                                         '{"port": 80, "token": "short"}'])  # fmt: skip
    def test_a_damaged_one_is_replaced(self, tmp_path, content):
        (tmp_path / "view").mkdir()
        place = tmp_path / "view" / "address.json"
        place.write_text(content)
        place.chmod(0o600)
        with Server(tmp_path) as server:
            assert ask(server, f"/{server.token}/summary")[0].status == 200

    def test_two_at_once(self, tmp_path):
        with Server(tmp_path) as first, Server(tmp_path) as second:
            assert first.port != second.port
            for server in (first, second):
                assert ask(server, f"/{server.token}/summary")[0].status == 200


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal as a terminal does")
def test_the_command_serves_until_it_is_interrupted(tmp_path):
    write_long_run(tmp_path, 10)
    command = [sys.executable, "-m", "chainrule", "view", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}summary", timeout=30) as answer:
            assert json.load(answer)["step"] == 10
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
