"""Ways in which a test patient gets into training: cohorts audited, pools of pages searched."""
