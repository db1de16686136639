# SPDX-License-Identifier: MIT
"""%%parties in a real kernel: state, output side by side, errors, interrupts, no orphans."""

import base64
import os
import re

import jupyter_client
import psutil
import pytest

from cryptensor.notebook.side_by_side import Transcript, as_html, as_text

PATIENCE = 60.0
# Fewer processes to start; what is tested is the magic.
PARTIES = "%%parties {} --provider first_party\n"


class Kernel:
    """A kernel with the extension loaded, and what its cells showed."""

    def __init__(self):
        self.manager, self.client = jupyter_client.manager.start_new_kernel()
        self.process = psutil.Process(self.manager.provisioner.process.pid)
        assert self.run("%load_ext cryptensor.notebook").error is None

    def start(self, code):
        return self.client.execute(code)

    def run(self, code):
        return self.result(self.start(code))

    def parties(self, code, number=2):
        return self.run(PARTIES.format(number) + code)

    def result(self, request):
        result = Result()
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == request:
                if (
                    message["msg_type"] == "status"
                    and message["content"]["execution_state"] == "idle"
                ):
                    return result
                result.take(message["msg_type"], message["content"])

    def descendants(self):
        return self.process.children(recursive=True)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class Result:
    def __init__(self):
        self.shown, self.text, self.error, self.bytes = {}, "", None, 0

    def take(self, kind, content):
        if kind in ("display_data", "update_display_data"):
            self.shown = content["data"]
            self.bytes = max(self.bytes, sum(map(len, self.shown.values())))
        elif kind == "execute_result":
            self.text += content["data"]["text/plain"]
        elif kind == "stream":
            self.text += content["text"]
        elif kind == "error":
            self.error = content["ename"], "\n".join(content["traceback"])

    def columns(self):
        """What each party showed, by party."""
        head, _, *rows = (line.split(" │ ") for line in self.shown["text/plain"].splitlines())
        rows = [row + [""] * (len(head) - len(row)) for row in rows]
        return ["\n".join(row[i].rstrip() for row in rows).strip() for i in range(len(head))]


@pytest.fixture(scope="module")
def kernel():
    started = Kernel()
    yield started
    started.close()


def gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=10.0)
    return not alive


# ---- what the parties show ---------------------------------------------------------------------


def test_cells_show_every_party_and_keep_their_variables(kernel):
    first = kernel.parties(
        "import cryptensor as ct\nx = ct.cryptensor([1.5, 2.0], src=0)\nmine = ct.rank() * 10\nx"
    )
    assert first.error is None
    assert all("CrypTensor" in column for column in first.columns())
    assert "1.5" not in first.shown["text/plain"]
    second = kernel.run("%%parties\nprint('<b>', mine)\n(x * 2).reveal(dst=1)")
    assert second.columns() == ["<b> 0", "<b> 10\ntensor([3., 4.])"]
    assert second.shown["text/html"].count("&lt;b&gt;") == 2
    assert kernel.run("%%parties\nmine;").shown == {}
    assert "NameError" in kernel.run("mine").error[0]  # the notebook's own process has nothing


def test_functions_of_a_cell_are_in_main_and_progress_is_printed(kernel):
    code = "import cryptensor as ct, pickle\ndef f(): pass\nct.progress(7)\n"
    code += "pickle.loads(pickle.dumps(f)) is f"
    assert kernel.parties(code).columns() == ["7\nTrue"] * 2


def test_figures_come_as_png(kernel):
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    shown = kernel.parties(code).shown
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', shown["text/html"])
    assert len(found) == 2
    assert all(base64.b64decode(png).startswith(b"\x89PNG") for png in found)
    assert kernel.run("%%parties\nplt.get_fignums()").columns() == ["[]", "[]"]


def test_large_output_is_bounded_and_does_not_hang(kernel):
    result = kernel.parties("for i in range(20_000): print(i)\n'x' * 20_000_000")
    assert result.error is None
    assert result.bytes < 400_000
    for column in result.columns():
        assert column.startswith("0\n1\n")
        assert "characters left out]" in column
        assert column.endswith("x'")


def test_a_transcript_keeps_both_ends():
    transcript = Transcript()
    for number in range(100_000):
        transcript.add(f"{number} ")
    assert transcript.text.startswith("0 1 ") and transcript.text.endswith("99998 99999 ")
    kept = len("".join(f"{number} " for number in range(100_000))) - 20_000
    assert f"[{kept:,} characters left out]" in transcript.text
    assert len(transcript.text) < 21_000


def test_a_progress_bar_shows_its_last_state():
    transcript = Transcript()
    transcript.add("10 %\r50 %")
    transcript.add("\r100 %\r\ndone\n")
    assert transcript.text == "100 %\ndone"


def test_long_lines_are_broken_and_columns_of_different_length_fit():
    left, right = Transcript(), Transcript()
    left.add("a" * 80)
    right.add("b\n\nc")
    rows = as_text([left, right]).splitlines()
    assert rows[2].split(" │ ") == ["a" * 68, "b"]
    assert rows[4].split(" │ ")[1] == "c"
    left.add("<script>")
    assert "<script>" not in as_html([left, right])


# ---- what goes wrong ---------------------------------------------------------------------------


def test_an_error_is_shown_once_and_the_parties_stay(kernel):
    kernel.parties("import cryptensor as ct\nkept = ct.cryptensor([2.0], src=1)")
    name, shown = kernel.run("%%parties\n(kept.softmax(0) * 3 + kept).relu()\n1 / 0").error
    assert name == "RemoteError"
    assert shown.count("Traceback") == 1
    # Either may be the first.
    first, other = re.match(
        r"party (\d) raised ZeroDivisionError: division by zero\n\(then party (\d): Zero", shown
    ).groups()
    assert {first, other} == {"0", "1"}
    assert re.search(r'File "cell \d+", line 2', shown) and "1 / 0" in shown
    assert "cryptensor/notebook" not in shown and "session is over" not in shown
    assert kernel.run("%%parties\nkept.reveal()").columns() == ["tensor([2.])"] * 2


def test_an_error_at_one_party_before_a_protocol_keeps_the_session(kernel):
    kernel.parties("import cryptensor as ct\nkept = ct.cryptensor([2.0], src=1)")
    _, shown = kernel.run("%%parties\nif ct.rank() == 1: open('/missing')").error
    assert shown.startswith("party 1 raised FileNotFoundError") and "session is over" not in shown
    assert kernel.run("%%parties\nkept.reveal()").columns() == ["tensor([2.])"] * 2


def test_an_error_at_one_party_after_which_shares_do_not_fit_ends_the_session(kernel):
    kernel.parties("import cryptensor as ct\nx = ct.share(ct.cryptensor([2.0], src=0))")
    _, shown = kernel.run("%%parties\nif ct.rank() == 1: open('/missing')\nx = x + x").error
    assert "FileNotFoundError" in shown and "session is over" in shown


def test_an_error_while_others_wait_for_the_party_ends_the_session(kernel):
    kernel.parties("import cryptensor as ct\nx = ct.cryptensor([2.0], src=0)")
    before = kernel.descendants()
    name, shown = kernel.run(
        "%%parties\nif ct.rank() == 0: raise ValueError('no')\nx.reveal()"
    ).error
    assert name == "RemoteError" and shown.startswith("party 0 raised ValueError: no")
    assert "the session is over" in shown
    assert gone(before)
    _, shown = kernel.run("%%parties\nx").error  # a new session, without the variables
    assert "NameError" in shown


def test_a_party_that_dies_is_named(kernel):
    _, shown = kernel.parties("import os, cryptensor as ct\nif ct.rank() == 1: os._exit(3)").error
    assert shown.startswith("party 1 ended with exit code 3") and "the session is over" in shown


def test_a_session_that_a_cell_closes_is_over(kernel):
    result = kernel.parties("import cryptensor as ct\nct.shutdown()")
    assert result.error is None and "the session is over" in result.text


def test_bad_options_are_named_and_change_nothing(kernel):
    kernel.parties("kept = 1")
    name, shown = kernel.run("%%parties 2 --precision 99\n1").error
    assert (name, shown) == (
        "ConfigError",
        "ConfigError: precision is 99; it must be an integer from 8 to 24",
    )
    name, shown = kernel.run("%%parties x\n1").error
    assert name == "ConfigError" and "'x'" in shown
    assert kernel.run("%%parties\nkept").columns() == ["1", "1"]


# ---- interrupts --------------------------------------------------------------------------------


def interrupted(kernel, code):
    """The result of a cell that is interrupted when both parties have printed something."""
    request, result = kernel.start("%%parties\n" + code), Result()
    while not (result.shown and all(result.columns())):
        message = kernel.client.get_iopub_msg(timeout=PATIENCE)
        result.take(message["msg_type"], message["content"])
    kernel.manager.interrupt_kernel()
    return kernel.result(request)


@pytest.mark.parametrize(
    "code",
    ["import time\nprint('here')\ntime.sleep(60)", "while True: print('again')"],
    ids=["asleep", "printing"],
)
def test_an_interrupt_keeps_the_variables(kernel, code):
    kernel.parties("import cryptensor as ct\nkept = ct.cryptensor([2.0], src=1)")
    name, shown = interrupted(kernel, code).error
    assert name == "KeyboardInterrupt" and "the variables are kept" in shown
    assert kernel.run("%%parties\nkept.reveal()").columns() == ["tensor([2.])"] * 2


@pytest.mark.parametrize(
    "code",
    [
        "print('here')\nif ct.rank() == 1: time.sleep(60)\nx.reveal()",
        "x = x + x\nprint('here')\nwhile True: x = x + x",  # sends nothing
    ],
    ids=["waiting", "computing"],
)
def test_an_interrupt_of_a_protocol_ends_the_session(kernel, code):
    kernel.parties("import time, cryptensor as ct\nx = ct.share(ct.cryptensor([2.0], src=0))")
    before = kernel.descendants()
    name, shown = interrupted(kernel, code).error
    assert name == "KeyboardInterrupt" and "the session is over" in shown
    assert gone(before)
    assert kernel.parties("1").columns() == ["1", "1"]


# ---- sessions ----------------------------------------------------------------------------------


def test_another_number_of_parties_is_a_new_session(kernel):
    kernel.parties("old = 1")
    before = kernel.descendants()
    result = kernel.parties("import cryptensor as ct\nct.world_size(), 'old' in globals()", 3)
    assert result.columns() == ["(3, False)"] * 3
    assert "A new session of 3 parties" in result.text
    assert gone(before)
    assert len(kernel.descendants()) == 3
    assert kernel.run("%%parties 3 --restart\n'ct' in globals()").columns() == ["False"] * 3


@pytest.mark.parametrize("way", ["unload", "restart", "kill"])
def test_no_process_is_left_behind(kernel, way):
    # With the dealer, which is a process of its own.
    assert kernel.run("%%parties 2 --provider third_party\n1").error is None
    before = kernel.descendants()
    assert len(before) == 3
    if way == "unload":
        assert kernel.run("%unload_ext cryptensor.notebook").error is None
    elif way == "restart":
        kernel.manager.restart_kernel(now=False)
    else:
        os.kill(kernel.process.pid, 9)
        kernel.manager.restart_kernel(now=True)
    assert gone(before)
    if way != "unload":
        kernel.client.wait_for_ready(timeout=PATIENCE)
        kernel.process = psutil.Process(kernel.manager.provisioner.process.pid)
    assert kernel.run("%load_ext cryptensor.notebook").error is None
