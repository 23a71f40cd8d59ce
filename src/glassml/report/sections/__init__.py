"""The sections of the page, one module each: from the files of a stage to text and figures."""
