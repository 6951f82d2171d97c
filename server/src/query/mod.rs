//! Box 10, Query API: serves queries from projections and cache.
