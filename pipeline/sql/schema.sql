-- The three built-in target tables.

CREATE TABLE IF NOT EXISTS video_call_sessions (
  id UUID PRIMARY KEY,
  appointment_id UUID NOT NULL,
  provider_id UUID NOT NULL,
  patient_id UUID NOT NULL,
  status TEXT NOT NULL,
  start_time TIMESTAMP WITH TIME ZONE,
  end_time TIMESTAMP WITH TIME ZONE,
  join_url TEXT,
  meeting_id TEXT,
  media_region TEXT,
  transcription_enabled BOOLEAN DEFAULT false,
  transcript_id UUID,
  transcript_language TEXT,
  soap_note_id UUID,
  finalization_status TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

CREATE TABLE IF NOT EXISTS clinical_notes (
  id UUID PRIMARY KEY,
  session_id UUID NOT NULL,
  appointment_id UUID NOT NULL,
  note_type TEXT NOT NULL DEFAULT 'SOAP',
  status TEXT NOT NULL,
  chief_complaint TEXT,
  subjective JSONB,
  objective JSONB,
  assessment JSONB,
  plan JSONB,
  ai_model TEXT,
  ai_generated_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

CREATE TABLE IF NOT EXISTS video_call_audit_log (
  id UUID PRIMARY KEY,
  session_id UUID NOT NULL,
  event_type TEXT NOT NULL,
  event_data JSONB,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);
