from data_prep.markdown import markdown_table


def test_a_table_has_a_line_a_row_and_may_lack_a_heading() -> None:
    assert markdown_table(["", "R@10"], [["grit", "0.1"], ["rqvae", "0.2"]]).splitlines() == [
        "| | R@10 |",
        "|---|---|",
        "| grit | 0.1 |",
        "| rqvae | 0.2 |",
    ]
