module sallyport.dev/pause

go 1.22
