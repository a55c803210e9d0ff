"""What all pages and answers share: headers, cookies, forms, JSON, the layout of a page."""
