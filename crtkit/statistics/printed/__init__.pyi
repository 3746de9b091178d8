from .p_values import rebuild_p_values as rebuild_p_values
from .scores import ScoreAudit as ScoreAudit, audit_scores as audit_scores
from .tables import audit_table as audit_table
