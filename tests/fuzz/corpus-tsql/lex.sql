4-- x
/* /* */ */SELECT N'a''b',[a]]b],"c""d",0x1F,1.5e-3,a::b,$1.5,#t,@@SPID--