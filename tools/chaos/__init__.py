"""A cluster, its learners and their network are hurt while events flow; then everything is counted."""
