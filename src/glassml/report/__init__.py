"""One self-contained page with every figure and table of a campaign.

Files in `results/{campaign}/report/`:

`report.html`
    The page. Pictures, style and the numbers of each figure and table are inside (data URIs); it
    loads nothing from anywhere; its script searches and unfolds.
`figures/{name}.png`, `figures/{name}.svg`, `tables/{name}.csv`
    Each figure, and exactly the numbers that it shows; tables without a figure too. What the
    campaign does not have is a text with its reason on the page, and has no file.
`acceptance.csv`
    number, kind (gate, target, sign), observable, condition, reference, unit, value, verdict
    (pass, fail, not reached), remark (why it is not reached, or what was compared), basis, source.
`report.json`
    campaign, title, banner (colour, headline, lines), warnings, acceptance (as the table, with
    reference, tolerance, value and error as numbers or null), answers (five lines), findings
    (rule, severity, value, trigger), versions.

The rows of the acceptance table are in `data/acceptance.csv`, and what each measures is a function
of `glassml.report.measures`, `measures_pressure` or `measures_recovered`. Measured curves are in
`data/` with their citation in `glassml.report.experiment`.
"""
