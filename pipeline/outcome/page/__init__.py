"""`report.html`: one file that needs nothing else.

`content` gathers what is shown, `template/` says how it looks, `page` puts them together.
"""
