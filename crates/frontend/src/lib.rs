//! meridian-frontend
