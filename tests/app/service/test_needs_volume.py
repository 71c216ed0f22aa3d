"""A slippage model that needs volume, on candles that have none, is refused when it is asked for."""

from typing import Any

Server = Any
ROWS = "".join(f"2024-01-{day:02d},1,2,0.5,1.5\n" for day in range(1, 29))
CSV = "date,open,high,low,close\n" + ROWS
MODEL = {"slippage_model": {"name": "participation_rate"}}


def test_no_volume(server: Server) -> None:
    """The answer names the field, and no run is made."""
    sent = server.call("PUT", "/datasets/NV/1d", CSV.encode(), {"Content-Type": "text/csv"})
    assert sent.status == 201
    body = {"symbol": "NV", "provider": "local", "plot": False}
    answer = server.post("/runs", body | {"execution": MODEL})
    assert (answer.status, answer.code) == (422, "INVALID_PARAM")
    (fault,) = answer.json["error"]["details"]["errors"]
    assert fault == {
        "field": "execution.slippage_model",
        "message": "needs volume, which NV 1d does not have; take spread_pct or none",
    }
    assert server.get("/runs").json["runs"] == []
    assert server.post("/runs", body).status == 201
